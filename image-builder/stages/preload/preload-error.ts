// The errors of the images that disks carry.
import { type ErrorOptions, type Finding, ImageBuilderError } from '../../base/diagnostics/error.ts';

export type PreloadErrorCode =
  /** Images cannot be had; each is told with the code of its own error. */
  | 'PRELOAD_UNAVAILABLE'
  /** An image is for another architecture or operating system than the disk, or no image that runs. */
  | 'PRELOAD_ARCHITECTURE'
  /** The images do not fit into the partition that they go into. */
  | 'PRELOAD_TOO_LARGE'
  /** kubeadm in the image needs images that the disk does not carry. */
  | 'PRELOAD_INCOMPLETE';

/** The field that names the images. */
export const FIELD = 'spec.build.kubernetes.preload';

/** See {@link PreloadErrorCode}. */
export class PreloadError extends ImageBuilderError<PreloadErrorCode> {
  readonly #failures: readonly ImageFailure[];

  /** @param failures what is wrong with each image, when that is what the error is about */
  constructor(
    code: PreloadErrorCode,
    message: string,
    { failures = [], ...options }: ErrorOptions & { failures?: readonly ImageFailure[] } = {},
  ) {
    super(code, `${FIELD}: ${message}`, options);
    this.#failures = failures;
  }

  override findings(): Finding[] {
    if (this.#failures.length === 0) {
      const own = ({ message, ...finding }: Finding): Finding => ({
        ...finding,
        field: FIELD,
        message: message.slice(FIELD.length + 2),
      });
      return super.findings().map(own);
    }
    return this.#failures.flatMap(({ reference, error }) =>
      error.findings().map((finding) => ({
        ...finding,
        field: FIELD,
        message: `${reference}: ${withoutField(finding)}`,
      })),
    );
  }
}

/** What is wrong with an image. */
export interface ImageFailure {
  reference: string;
  error: ImageBuilderError;
}

const withoutField = ({ field, message }: Finding): string =>
  field !== undefined && message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message;

/**
 * Does something for each of several images, a few at a time.
 * @throws PreloadError PRELOAD_UNAVAILABLE with every image that failed; whatever is no ImageBuilderError as it is
 */
export async function forEachImage<Item extends { reference: string }, Result>(
  images: readonly Item[],
  work: (image: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const failures: ImageFailure[] = [];
  const waiting = [...images.entries()];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, image] = next;
      try {
        results[index] = await work(image);
      } catch (error) {
        if (!(error instanceof ImageBuilderError)) throw error;
        failures.push({ reference: image.reference, error });
      }
    }
  };
  // All of them: whoever learns of a failure may remove what the others write.
  const ended = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  const fault = ended.find((one) => one.status === 'rejected');
  if (fault) throw fault.reason;
  if (failures.length === 0) return results;
  failures.sort((a, b) => (a.reference < b.reference ? -1 : 1));
  const what = failures.map(({ reference }) => reference).join(', ');
  throw new PreloadError('PRELOAD_UNAVAILABLE', `cannot carry ${what}`, {
    failures,
    cause: failures[0]?.error,
  });
}

/** Registries are asked for so many images at the same time. */
const AT_ONCE = 2;
