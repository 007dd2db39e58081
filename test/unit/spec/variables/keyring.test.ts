// What counts as a keyring: anything else would carry a file of the machine into images and answers.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { keyringProblem } from '../../../../image-builder/spec/variables/keyring.ts';

const packet = (tag: number, body: number[]) => Buffer.from([0x80 | (tag << 2), body.length, ...body]);
const key = packet(6, [4, 0]);
const armour = (content: Buffer, head = '\n') =>
  `-----BEGIN PGP PUBLIC KEY BLOCK-----\n${head}${content.toString('base64')}\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n`;
const problemOf = (content: string | Buffer) => keyringProblem(Buffer.from(content));

test('those of this machine', () => {
  const directories = ['/usr/share/keyrings', '/etc/apt/trusted.gpg.d'];
  const paths = directories.flatMap((directory) =>
    readdirSync(directory).map((name) => join(directory, name)),
  );
  for (const path of paths.filter((path) => /\.(gpg|asc)$/.test(path))) {
    expect([path, keyringProblem(readFileSync(path))]).toEqual([path, undefined]);
  }
  expect(paths.length).toBeGreaterThan(0);
});

test.each([
  ['binary', key],
  ['with a user id and a signature', Buffer.concat([key, packet(13, [65]), packet(2, [4])])],
  ['with a new packet header', Buffer.from([0xc6, 1, 4])],
  ['armoured', armour(key)],
  ['armoured with headers and CRLF', armour(key, 'Version: GnuPG\n\n').replaceAll('\n', '\r\n')],
  ['two armoured ones', armour(key) + armour(key)],
])('%s', (_, content) => expect(problemOf(content)).toBeUndefined());

test.each([
  ['text', 'root:x:0:0:root:/root:/bin/bash\n', /not an OpenPGP keyring/],
  ['empty', '', /not an OpenPGP keyring/],
  ['a private SSH key', '-----BEGIN OPENSSH PRIVATE KEY-----\nb3\n', /not an OpenPGP keyring/],
  ['a secret key', packet(5, [4, 0]), /not an OpenPGP keyring/],
  ['a key with something behind it', Buffer.concat([key, Buffer.from('secret')]), /not an OpenPGP keyring/],
  ['a key that is cut off', key.subarray(0, 3), /not an OpenPGP keyring/],
  ['other data in a packet', packet(11, [1, 2]), /not an OpenPGP keyring/],
  ['armour around a secret key', armour(packet(5, [4])), /not a public key/],
  ['armour around text', armour(Buffer.from('secret')), /not a public key/],
  ['text beside armour', `password: x\n${armour(key)}`, /something other/],
  ['text in armour', armour(key, '\npass word\n'), /something other/],
  ['armour without an end', '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmAEE\n', /something other/],
])('%s is none', (_, content, problem) => expect(problemOf(content)).toMatch(problem));

test('a large file takes linear time', () => {
  const began = performance.now();
  problemOf(`${armour(key)}${'\n'.repeat(1 << 20)}`);
  problemOf(`-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n${' \n'.repeat(1 << 19)}`);
  expect(performance.now() - began).toBeLessThan(2000);
});
