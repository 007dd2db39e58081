// Finds in dpkg's output what it says of a package that could not be installed: dpkg goes on with other packages, so
// that the reason is not among its last lines.

/** Lines before the failure that are kept: what the package's own script has printed. */
const BEFORE = 8;
/** Lines from the failure on: `dpkg: error processing package ...` and the reason. */
const AFTER = 2;

/** Takes the lines that dpkg prints, and keeps those around each failure. */
export class DpkgErrors {
  readonly #recent: string[] = [];
  readonly #lines: string[] = [];
  readonly #packages = new Set<string>();
  #following = 0;

  /** Looks at the next line of the output. */
  read(line: string): void {
    const failed = /^dpkg: error processing (?:package|archive) (\S+)/.exec(line)?.[1];
    if (failed !== undefined) {
      this.#packages.add(failed.replace(/^.*\/|_.*$|:.*$/g, ''));
      this.#lines.push(...this.#recent.splice(0));
      this.#following = AFTER;
    }
    if (this.#following > 0) {
      this.#lines.push(line);
      this.#following--;
      return;
    }
    // A package that goes well has nothing to do with the failure of the next one.
    if (/^(Setting up|Unpacking|Processing triggers for) /.test(line)) this.#recent.splice(0);
    this.#recent.push(line);
    if (this.#recent.length > BEFORE) this.#recent.shift();
  }

  /** Names of the packages that could not be installed. */
  get packages(): string[] {
    return [...this.#packages];
  }

  /** What was said of them; empty when dpkg has not complained of a package. */
  get lines(): string[] {
    return [...this.#lines];
  }
}
