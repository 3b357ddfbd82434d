/** Answers that were fetched, each as of a revision of the log. */

/** So many answers are kept; the one that was not looked at for longest goes first. */
const MOST = 80;

export class Store {
  constructor() {
    /** @type {Map<string, {revision: string, data: any, stamp: number}>} */
    this.entries = new Map();
    /** @type {Map<string, Promise<any>>} */
    this.asked = new Map();
    this.stamp = 0;
  }

  /**
   * The answer to a question at a revision: fetched where it is another than what is known.
   * @param {string} key
   * @param {string} revision
   * @param {() => Promise<any>} request
   * @returns {Promise<{data: any, stamp: number}>} `stamp` is another one for every answer
   */
  async ensure(key, revision, request) {
    const known = this.entries.get(key);
    if (known && known.revision === revision) {
      this.entries.delete(key);
      this.entries.set(key, known);
      return known;
    }
    const question = `${revision} ${key}`;
    let asked = this.asked.get(question);
    if (!asked) {
      asked = request().finally(() => this.asked.delete(question));
      this.asked.set(question, asked);
    }
    const data = await asked;
    const before = this.entries.get(key);
    if (before && before.revision === revision) return before;
    const entry = { revision, data, stamp: (this.stamp += 1) };
    this.entries.delete(key);
    this.entries.set(key, entry);
    for (const old of this.entries.keys()) {
      if (this.entries.size <= MOST) break;
      this.entries.delete(old);
    }
    return entry;
  }
}
