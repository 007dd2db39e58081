// Pushing against a registry that follows the specification to the letter, and against faults at each step.

import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { ProgressEvent } from '../../../../image-builder/base/diagnostics/progress.ts';
import { type Digest, digestOf } from '../../../../image-builder/oci/digest.ts';
import { type PushOptions, pushImage } from '../../../../image-builder/oci/distribution/push.ts';
import type { ImageSource } from '../../../../image-builder/oci/image-source.ts';
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../../../../image-builder/oci/media-types.ts';
import type { Descriptor } from '../../../../image-builder/oci/model.ts';
import { parseReference, type RegistryReference } from '../../../../image-builder/oci/reference.ts';
import {
  type PushRequest,
  serveUploads,
  type UploadServer,
  type UploadServerOptions,
} from '../../../support/upload-server.ts';

const MIB = 1024 * 1024;
const layers: Buffer[] = [randomBytes(36 * MIB), randomBytes(1000), Buffer.alloc(0)];
const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}');

/** An image in memory. */
class MemoryImage implements ImageSource {
  readonly name = 'the image';
  readonly cost = { requests: 0, bytes: 0 };
  readonly warnings: string[] = [];
  readonly contents = new Map<Digest, Buffer>();
  readonly manifestContent: Buffer;

  constructor(blobs = layers) {
    for (const blob of [config, ...blobs]) this.contents.set(digestOf(blob), blob);
    const descriptor = (content: Buffer, mediaType: string) => ({
      mediaType,
      digest: digestOf(content),
      size: content.length,
    });
    this.manifestContent = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: descriptor(config, OCI_CONFIG),
        layers: blobs.map((blob) => descriptor(blob, OCI_LAYER)),
      }),
    );
  }

  async currentDigest() {
    return digestOf(this.manifestContent);
  }

  async root() {
    const content = this.manifestContent;
    return {
      descriptor: { mediaType: OCI_MANIFEST, digest: digestOf(content), size: content.length },
      content,
    };
  }

  async manifest() {
    return this.manifestContent;
  }

  async *blob({ digest }: Descriptor) {
    const content = this.contents.get(digest) ?? Buffer.alloc(0);
    for (let start = 0; start < content.length; start += MIB) yield content.subarray(start, start + MIB);
  }

  async close() {}
}

// Digests of tens of MiB take their time on a busy machine.
jest.setTimeout(30_000);

/** One with a blob of several chunks, and one without. */
const large = new MemoryImage();
const small = new MemoryImage(layers.slice(1));

let server: UploadServer | undefined;
const events: ProgressEvent[] = [];
beforeEach(() => events.splice(0));
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

async function push(options: UploadServerOptions = {}, changes: Partial<PushOptions> = {}, image = small) {
  server = await serveUploads(options);
  const target = parseReference(`${server.host}/site/bundle:v1`) as RegistryReference;
  return await pushImage(image, target, {
    report: (event) => events.push(event),
    environment: {},
    limits: { retries: 3, retryDelay: 1 },
    ...changes,
  });
}

/** The registry has exactly the image under its tag. */
function expectArrived(image = small): void {
  expect(server?.manifests.get('v1')?.equals(image.manifestContent)).toBe(true);
  for (const [digest, content] of image.contents)
    expect(server?.blobs.get(digest)?.equals(content)).toBe(true);
}

const steps = () => server?.steps ?? [];
const count = (step: string) => steps().filter((one) => one === step).length;

test('large blobs go in chunks, small ones in one piece, the manifest last', async () => {
  const { digest, uploaded } = await push({}, {}, large);
  expectArrived(large);
  expect(digest).toBe(digestOf(large.manifestContent));
  expect(uploaded).toBe(36 * MIB + 1000 + config.length);
  expect([count('begin'), count('chunk'), count('finish')]).toEqual([4, 1, 4]);
  expect(steps().at(-1)).toBe('manifest');
  const bytes = events.filter((event) => event.type === 'bytes');
  expect(bytes.at(-1)).toMatchObject({ stage: 'push', done: uploaded, total: uploaded });
});

test('what is there already is neither sent nor asked for twice', async () => {
  await push();
  const before = steps().length;
  const target = parseReference(`${server?.host}/site/bundle:v1`) as RegistryReference;
  const again = await pushImage(small, target, { report: () => {}, environment: {} });
  expect(again.uploaded).toBe(0);
  expect(steps().slice(before)).toEqual(['manifest']);
});

test('blobs of another repository are mounted, and sent when that is refused', async () => {
  const elsewhere = new Map<string, Buffer>([[digestOf(layers[0] as Buffer), layers[0] as Buffer]]);
  const { uploaded } = await push({ elsewhere }, { mountFrom: ['site/base'] }, large);
  expectArrived(large);
  expect(uploaded).toBe(1000 + config.length);
  expect([count('mount'), count('begin'), count('cancel')]).toEqual([4, 3, 3]);
});

test('a connection that is cut is taken up where the registry stands', async () => {
  await push({ cutAfter: 20 * MIB }, {}, large);
  expectArrived(large);
  expect(count('status')).toBe(1);
  // Nothing began anew.
  expect(count('begin')).toBe(4);
});

test('a registry that has forgotten the upload gets it from the beginning', async () => {
  await push({ cutAfter: 20 * MIB, forgetful: true }, {}, large);
  expectArrived(large);
  expect(count('begin')).toBe(5);
});

const once =
  (step: string, fault: (response: ServerResponse, request: PushRequest) => void) =>
  (request: PushRequest, response: ServerResponse, index: number) => {
    if (request.step !== step || index > 1) return false;
    fault(response, request);
    return true;
  };

describe.each(['begin', 'chunk', 'finish', 'blob', 'manifest'])(
  'a fault at the step %s is overcome:',
  (step) => {
    test.each([
      ['an internal error', (response: ServerResponse) => response.writeHead(500).end()],
      [
        'too many requests',
        (response: ServerResponse) => response.writeHead(429, { 'retry-after': '0' }).end(),
      ],
      ['a reset connection', (response: ServerResponse) => response.socket?.resetAndDestroy()],
      ['a gateway that gives up', (response: ServerResponse) => response.writeHead(504).end('<html>')],
    ])('%s', async (_, fault) => {
      const image = step === 'chunk' ? large : small;
      await push({ intercept: once(step, fault) }, {}, image);
      expectArrived(image);
    });
  },
);

test('the last answer is lost: the blob is found to be there', async () => {
  const image = new MemoryImage([layers[1] as Buffer]);
  const digest = digestOf(layers[1] as Buffer);
  await push(
    {
      intercept: once('finish', (response) => {
        server?.blobs.set(digest, layers[1] as Buffer);
        response.socket?.resetAndDestroy();
      }),
    },
    {},
    image,
  );
  expectArrived(image);
});

test('a registry that takes no chunks gets blobs in one piece', async () => {
  const intercept = ({ step }: PushRequest, response: ServerResponse) => {
    if (step !== 'chunk') return false;
    response.writeHead(405).end();
    return true;
  };
  await push({ intercept }, {}, large);
  expectArrived(large);
});

test('a token that expires in mid-upload is renewed before the next chunk is sent', async () => {
  let valid = 'first';
  const expectations: unknown[] = [];
  const intercept = ({ step, headers, url }: PushRequest, response: ServerResponse, index: number) => {
    if (url.pathname === '/token') {
      response.end(JSON.stringify({ token: valid }));
      return true;
    }
    if (step === 'chunk') expectations.push(headers.expect);
    if (step === 'chunk' && index === 1) valid = 'second';
    if (headers.authorization === `Bearer ${valid}`) return false;
    const challenge = `Bearer realm="http://${server?.host}/token",service="x"`;
    response.writeHead(401, { 'www-authenticate': challenge }).end();
    return true;
  };
  await push({ intercept }, {}, large);
  expectArrived(large);
  expect(valid).toBe('second');
  // Each waits for the word of the registry before it sends its data.
  expect(expectations).toEqual(['100-continue', '100-continue']);
});

describe('is an error, with no tag:', () => {
  async function refused(options: UploadServerOptions, expected: object, image = small, changes = {}) {
    await expect(push(options, changes, image)).rejects.toMatchObject(expected);
    expect(server?.manifests.size).toBe(0);
  }

  test('a source that is damaged', async () => {
    const image = new MemoryImage();
    image.contents.set(digestOf(layers[1] as Buffer), randomBytes(1000));
    await refused({}, { code: 'DIGEST_MISMATCH', message: expect.stringContaining('the source') }, image);
  });

  test('a source that ends early', async () => {
    const image = new MemoryImage();
    image.contents.set(digestOf(layers[0] as Buffer), randomBytes(20 * MIB));
    await refused({}, { code: 'DIGEST_MISMATCH', message: expect.stringContaining('ended after') }, image);
  });

  test('no permission to write', async () => {
    const intercept = ({ step }: PushRequest, response: ServerResponse) => {
      if (step !== 'begin') return false;
      response.writeHead(403).end();
      return true;
    };
    await refused({ intercept }, { code: 'DENIED', hint: expect.stringContaining('write') });
  });

  test('an answer that names no place, or one that is none', async () => {
    for (const headers of [{}, { location: 'file:///etc/passwd' }]) {
      const intercept = ({ step }: PushRequest, response: ServerResponse) => {
        if (step !== 'begin') return false;
        response.writeHead(202, headers).end();
        return true;
      };
      await refused({ intercept }, { code: 'SERVER', message: expect.stringContaining('Location') });
      await server?.stop();
    }
  });

  test('a registry that stores something else', async () => {
    const wrong = `sha256:${'0'.repeat(64)}`;
    const intercept = ({ step, method }: PushRequest, response: ServerResponse) => {
      if (step !== 'manifest' || method !== 'PUT') return false;
      response.writeHead(201, { 'docker-content-digest': wrong }).end();
      return true;
    };
    await refused({ intercept }, { code: 'DIGEST_MISMATCH', message: expect.stringContaining(wrong) });
  });

  test('a registry that fails for good', async () => {
    const intercept = ({ step }: PushRequest, response: ServerResponse) => {
      if (step !== 'chunk') return false;
      response.writeHead(503).end();
      return true;
    };
    await refused({ intercept }, { code: 'SERVER', status: 503 }, large);
  });

  test('a cancelled push', async () => {
    const controller = new AbortController();
    const report = ({ type }: ProgressEvent) => {
      if (type === 'bytes') controller.abort(new Error('stop'));
    };
    await refused({}, { code: 'CANCELLED' }, large, { report, signal: controller.signal });
  });

  test('a target with a digest', async () => {
    server = await serveUploads();
    const target = parseReference(`${server.host}/site/bundle:v1@${digestOf(config)}`) as RegistryReference;
    await expect(pushImage(small, target, { report: () => {} })).rejects.toMatchObject({
      code: 'INVALID_REFERENCE',
    });
    expect(steps()).toEqual([]);
  });
});

test('credentials stay with the registry when it names another host for the data', async () => {
  const seen: (string | undefined)[] = [];
  const elsewhere = await serveUploads({
    intercept: ({ headers }) => {
      seen.push(headers.authorization);
      return false;
    },
  });
  try {
    const image = new MemoryImage([layers[1] as Buffer]);
    const intercept = ({ step, headers }: PushRequest, response: ServerResponse) => {
      if (!headers.authorization) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
        return true;
      }
      if (step !== 'begin') return false;
      response.writeHead(202, { location: `http://${elsewhere.host}/v2/site/bundle/blobs/uploads/x` }).end();
      return true;
    };
    const auth = Buffer.from('ci:secret').toString('base64');
    const environment = new Proxy(
      {},
      {
        get: (_, name) =>
          name === 'DOCKER_AUTH_CONFIG'
            ? JSON.stringify({ auths: { [server?.host ?? '']: { auth } } })
            : undefined,
      },
    );
    await expect(push({ intercept }, { environment }, image)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(elsewhere.steps).toContain('finish');
    expect(seen).toEqual(seen.map(() => undefined));
  } finally {
    await elsewhere.stop();
  }
});
