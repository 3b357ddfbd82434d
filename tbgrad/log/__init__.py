"""What a log is, in bytes and in names: records, tags, encoding, decoding, framing, both ways."""
