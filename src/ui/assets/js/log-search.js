// The lines of a log that hold a text: how many there are, and which of them is looked at.

const MATCHES_A_REQUEST = 1000;

const whole = new Intl.NumberFormat("en");

export class LogSearch {
  /** A search that asks by `ask` for lines of the log. */
  constructor(ask) {
    this.ask = ask;
    this.error = "";
    this.isUnderWay = false;
    this.begin("");
  }

  begin(text) {
    this.text = text;
    this.numbers = [];
    this.at = -1;
    this.total = 0;
    this.next = 0;
  }

  /** The number of the line that is looked at. */
  current() {
    return this.numbers[this.at] ?? null;
  }

  words() {
    if (this.error) return this.error;
    if (!this.text) return "";
    return this.total === 0 ? "No line has it" : `${whole.format(this.at + 1)} of ${whole.format(this.total)} lines`;
  }

  /** Goes on by so many matches of the text in `field`, or to the first one of a new text. */
  async find(field, step) {
    if (this.isUnderWay) return;
    this.isUnderWay = true;
    this.error = "";
    try {
      // Somebody may write on while an answer is on its way.
      do {
        if (field.value === this.text) await this.go(step);
        else await this.look(field.value);
      } while (field.value !== this.text);
    } catch (error) {
      // What was found is as good as nothing; the next time it is looked for anew.
      this.begin("");
      this.error = error.message;
    }
    this.isUnderWay = false;
  }

  async look(text) {
    this.begin(text);
    if (text) await this.findMore();
    this.at = this.numbers.length ? 0 : -1;
  }

  async go(step) {
    if (this.numbers.length === 0) return;
    const next = this.at + step;
    if (next >= this.numbers.length && this.next !== null) await this.findMore();
    // From the first one back there is only the last that is known.
    this.at = (next + this.numbers.length) % this.numbers.length;
  }

  async findMore() {
    const found = await this.ask({ q: this.text, after: this.next, limit: MATCHES_A_REQUEST });
    this.numbers.push(...found.lines.map((line) => line.number));
    this.total = found.matching_lines;
    this.next = found.next_after;
  }

  /** How many there are now that the log is longer. */
  async recount() {
    const { text } = this;
    const last = this.numbers.at(-1) ?? 0;
    const found = await this.ask({ q: text, after: last, limit: 1 }).catch(() => null);
    if (!found || text !== this.text || this.isUnderWay) return;
    this.total = found.matching_lines;
    if (found.lines.length) this.next ??= last;
  }
}
