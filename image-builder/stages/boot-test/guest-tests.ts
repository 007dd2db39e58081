// What a booted image reports of the tests inside of it. Pure.
import type { ImageTest } from '../../spec/variables/resolved-tests.ts';

/** The port of the virtual machine that the report is written to. */
export const REPORT_PORT = 'org.airshipit.image-builder.tests';

/** How a test has ended. */
export interface GuestTestResult {
  name: string;
  isMet: boolean;
  /** Exit status; absent when it took too long. */
  status?: number;
  seconds: number;
  /** The end of what it has printed. */
  output: string;
}

/** A test that is not met, with its result when there is one. */
export type UnmetTest = ImageTest & Partial<GuestTestResult>;

/** What systemd says of the node before the first test. */
export interface NodeState {
  /** `running`, `degraded`, ... (systemctl(1), is-system-running). */
  state: string;
  failedUnits: string[];
}

/** What a machine has reported. */
export type GuestFindings = NodeState & { results: readonly GuestTestResult[] };

/** Lines longer than this are no report. */
const LONGEST_LINE = 1 << 20;

/** The report of a machine, fed with what arrives. What is no line of one is passed over: whoever writes it is the image. */
export class GuestReport {
  #partial = '';
  #node: NodeState | undefined;
  #current: string | undefined;
  #isComplete = false;
  readonly #results: GuestTestResult[] = [];
  #question: { test: ImageTest; answer: (result: GuestTestResult) => void } | undefined;
  /** The tests that were handed in. */
  readonly expected: readonly ImageTest[];

  constructor(expected: readonly ImageTest[]) {
    this.expected = expected;
  }

  write(text: string): void {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop() ?? '';
    if (this.#partial.length > LONGEST_LINE) this.#partial = '';
    for (const line of lines) this.#read(line);
  }

  /** Whether the machine has nothing more to say. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Undefined until the machine has started everything. */
  get node(): NodeState | undefined {
    return this.#node;
  }

  get results(): readonly GuestTestResult[] {
    return this.#results;
  }

  /** The tests that have failed, and those that the report does not know. */
  get unmet(): UnmetTest[] {
    return this.expected.flatMap((test) => {
      const result = this.#results.find(({ name }) => name === test.name);
      return result?.isMet ? [] : [{ ...test, ...result }];
    });
  }

  /** Whether the machine has said all, and every test is met. */
  get isMet(): boolean {
    return this.#isComplete && this.unmet.length === 0;
  }

  /** How a test ends that the machine gets after its report, which has none of it. One at a time. */
  answerTo(test: ImageTest): Promise<GuestTestResult> {
    return new Promise((answer) => {
      this.#question = { test, answer };
    });
  }

  /** What the machine is at, for people. */
  get progress(): string {
    if (this.#current !== undefined) return `${this.#current} was running`;
    return this.#node === undefined
      ? 'no test had begun'
      : `${this.#results.length} of ${this.expected.length} had ended`;
  }

  /** Of each test the first result: an image that says more does not fill the memory. */
  #note(message: Record<string, unknown>): void {
    const { name } = message;
    if (this.#isComplete) {
      if (name !== this.#question?.test.name) return;
      this.#question?.answer(resultOf(this.#question.test, message));
      this.#question = undefined;
      return;
    }
    const test = this.expected.find((one) => one.name === name);
    if (test === undefined || this.#results.some((one) => one.name === name)) return;
    this.#results.push(resultOf(test, message));
  }

  #read(line: string): void {
    const message = parse(line);
    if (message?.event === 'started') {
      const { state, failedUnits } = message;
      this.#node = {
        state: String(state),
        failedUnits: Array.isArray(failedUnits) ? failedUnits.map(String) : [],
      };
    } else if (message?.event === 'begin') {
      this.#current = this.expected.find(({ name }) => name === message.name)?.name;
    } else if (message?.event === 'end') {
      this.#current = undefined;
      this.#note(message);
    } else if (message?.event === 'complete') {
      this.#isComplete = true;
    }
  }
}

function resultOf(test: ImageTest, { status, seconds, output }: Record<string, unknown>): GuestTestResult {
  // Terminals obey control characters, and people read this in one.
  const text = String(output).replace(/[^\P{Cc}\n\t]/gu, '');
  const isAsExpected = test.expected === undefined || text.trim() === test.expected;
  return {
    name: test.name,
    isMet: status === 0 && isAsExpected,
    ...(typeof status === 'number' && { status }),
    seconds: Number(seconds),
    output: text,
  };
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
