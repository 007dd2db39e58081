// References, challenges, credentials and registries.conf.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  matchKey,
  parseCredentialConfig,
  parsePullSecret,
} from '../../../image-builder/oci/credentials/config-file.ts';
import { endpointsFor } from '../../../image-builder/oci/credentials/registries-conf.ts';
import { parseChallenges } from '../../../image-builder/oci/distribution/auth.ts';
import { formatReference, parseReference } from '../../../image-builder/oci/reference.ts';
import { type Target, Violation } from '../campaign.ts';
import { mutateJson, mutateText } from '../mutate.ts';

const DIGEST = `sha256:${'ab'.repeat(32)}`;
const REFERENCES = [
  `registry.example.org:5000/a/b:v1@${DIGEST}`,
  'oci:./x/y:tag',
  'docker-archive:/a:b/c:d',
  `docker-daemon:${DIGEST}`,
  '[::1]:5000/a',
  'oci://host.example/x',
  'localhost/a_b__c--d',
  `oci-archive:a@${DIGEST}`,
  'library/debian',
];

export const references: Target<string> = {
  name: 'references',
  generate: (random) => mutateText(random, random.pick(REFERENCES), '/:@._-[]aA0 \n\té%\0'),
  check: (text) => {
    const reference = parseReference(text);
    const again = formatReference(reference);
    const same = JSON.stringify(parseReference(again)) === JSON.stringify(reference);
    if (!same) throw new Violation(`becomes ${JSON.stringify(again)}, which is another reference`);
  },
};

const CHALLENGES = [
  'Bearer realm="https://auth.example/token",service="a, b",scope="repository:a/b:pull" , Basic realm=x, error="\\"q"',
  'Basic realm="Registry", charset="UTF-8"',
  'Negotiate abc==, Bearer realm=x',
];

export const challenges: Target<string> = {
  name: 'challenges',
  generate: (random) => mutateText(random, random.pick(CHALLENGES), '=",\\ abcB\t;:é'),
  check: (header) => {
    for (const { scheme } of parseChallenges(header)) {
      if (typeof scheme !== 'string' || scheme === '') throw new Violation('a challenge has no scheme');
    }
  },
};

const LOGINS = {
  auths: {
    'https://index.docker.io/v1/': { auth: 'YTpi' },
    'h.example/ns': { username: 'a', password: 'b' },
    '*.h.example:5000': { identitytoken: 't' },
  },
  credHelpers: { 'g.example': 'gcr' },
  credsStore: 'pass',
};
const HOSTS = ['docker.io', 'h.example', 'r.h.example:5000', 'g.example', '[::1]:5000'];

export const logins: Target<{ text: string; host: string }> = {
  name: 'logins',
  generate: (random) => {
    const text = JSON.stringify(mutateJson(random, LOGINS)) ?? '';
    return {
      text: random.once(3) ? mutateText(random, text, '{}[]",:*./\\a0') : text,
      host: random.pick(HOSTS),
    };
  },
  check: ({ text, host }) => {
    const { auths } = parseCredentialConfig(text, 'the file');
    matchKey(auths, host, 'ns/name');
    const secret = parsePullSecret({ json: text, origin: 'the secret' });
    if (secret.credsStore !== undefined || secret.credHelpers.size > 0) {
      throw new Violation('a pull secret names a credential helper');
    }
  },
};

const REGISTRIES = `unqualified-search-registries = ["docker.io"]
[[registry]]
prefix = "h.example/ns"
location = "m.example/x"
insecure = true
[[registry.mirror]]
location = "mm.example:5000"
pull-from-mirror = "digest-only"
[[registry]]
location = "*.example"
blocked = false
mirror-by-digest-only = true
`;
const NAMES = ['h.example', 'a.example', 'docker.io'];

export const registries: Target<{ text: string; registry: string }> = {
  name: 'registries',
  generate: (random) => ({
    text: mutateText(random, REGISTRIES, '[]="\n.#*/ab1:é@ '),
    registry: random.pick(NAMES),
  }),
  check: async ({ text, registry }) => {
    const home = mkdtempSync(join(tmpdir(), 'fuzz-'));
    try {
      const file = join(home, 'registries.conf');
      writeFileSync(file, text);
      const reference = parseReference(`${registry}/ns/name:v1`);
      if (reference.transport !== 'registry') throw new Violation('is no reference to a registry');
      const endpoints = await endpointsFor(reference, false, {
        CONTAINERS_REGISTRIES_CONF: file,
        HOME: home,
      });
      if (endpoints.length === 0) throw new Violation('there is no place to ask');
    } finally {
      rmSync(home, { recursive: true });
    }
  },
};
