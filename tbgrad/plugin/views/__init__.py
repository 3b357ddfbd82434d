"""What each view of the tab shows, as plain data: one file a view, named as its ES module.

They answer from a snapshot of what TensorBoard has stored, and know neither requests nor responses.
"""
