// Bundles a program into one CommonJS file that loads its parts when they are imported.
//
// Every `import()` of the source starts a part, and what several parts share is a part of its own; esbuild finds these
// (https://esbuild.github.io/api/#splitting) and gives them as ES modules. Node has to read through all the code of a
// file before it starts it, 10 ms for each half megabyte. A comment costs a tenth of that, so the parts that are not
// needed at once stand in a comment at the end of the file, compressed, and the file is read again for them. Every
// module exists once, whoever imports it, so classes and state are shared.

import { basename } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { minify } from '@swc/core';
import * as esbuild from 'esbuild';

/** Code that node:vm compiles cannot import(); what is left of that are parts and modules of Node. */
const CODE_FOR_VM = { 'dynamic-import': false };

/**
 * The program as text.
 *
 * @param entryPoint path of its first module, from the root of the project like all modules here
 * @param bundling options of esbuild for every part
 * @param plain modules that start parts which are not compressed, besides those of the entry point
 * @param runs for each usual kind of run, the modules that start its parts. Parts that the same kinds of runs need are
 *   joined, and loaded together
 * @param compress whether the rest is compressed, and variables get short names
 */
export async function singleFile(entryPoint, bundling, { plain = [], runs = [], compress = true }) {
  const { outputFiles, metafile } = await esbuild.build({
    ...bundling,
    entryPoints: [entryPoint],
    format: 'esm',
    splitting: true,
    outdir: '/',
    metafile: true,
    write: false,
  });
  const outputs = new Map(Object.entries(metafile.outputs).map(([path, output]) => [basename(path), output]));
  const texts = new Map(outputFiles.map(({ path, text }) => [basename(path), text]));
  const entry = partOf(entryPoint, outputs);
  const order = inLoadingOrder(entry, outputs);
  const [first, uncompressed, ...usual] = [[entryPoint], plain, ...runs].map((modules) =>
    loadedBy(modules, outputs),
  );
  const groups = joined(order, first, [uncompressed, ...usual]);
  // An object of exports has its default at another place once it is no module of its own.
  const odd = groups.flat().find((name) => outputs.get(name).exports.includes('default'));
  if (odd)
    throw new Error(`${outputs.get(odd).entryPoint} has a default export, so it cannot be joined to others`);
  const code = new Map();
  const asked = groups.map((names) => askedFor(names, entry, outputs));
  for (const [index, names] of groups.entries())
    code.set(`./group-${index}`, await merged(names, asked[index], texts, bundling));
  for (const name of order.filter((name) => !groups.flat().includes(name))) {
    const text = await commonJs(texts.get(name), bundling);
    const { format } = metafile.inputs[outputs.get(name).entryPoint] ?? {};
    // Of a library in CommonJS, a part exports nothing but a default.
    code.set(`./${name}`, format === 'cjs' ? `${text}module.exports=module.exports.default;` : text);
  }
  if (compress) for (const [name, text] of code) code.set(name, await withShortNames(text));
  const isPlain = (name) =>
    !compress ||
    groups.some(
      (names, index) => name === `./group-${index}` && (index === 0 || uncompressed.includes(names[0])),
    );
  const late = [...code.keys()].filter((name) => !isPlain(name));
  const functions = [...code.keys()]
    .filter(isPlain)
    // In parentheses, V8 compiles a function at once instead of reading over it first and compiling it when it is called.
    .map((name) => `${JSON.stringify(name)}:(function(module,exports,require){${code.get(name)}\n})`);
  const { comment, places } = asComment(late.map((name) => [name, code.get(name)]));
  const groupOf = asked.flatMap((names, index) => names.map((name) => [`./${name}`, `./group-${index}`]));
  return `"use strict";
const AT_ONCE={${functions.join(',\n')}};
const PLACES=${JSON.stringify(places)};
const GROUPS=${JSON.stringify(Object.fromEntries(groupOf))};
${LOADER}
load(${JSON.stringify(`./${entry}`)});
${comment}`;
}

/**
 * The parts of each group: first those of the entry point, then those that the same runs load. A part is loaded by all runs
 * that load one which imports it, so groups never import each other in a circle.
 */
function joined(order, first, runs) {
  const groups = new Map([['', first]]);
  for (const name of order.filter((name) => !first.includes(name))) {
    const users = runs.flatMap((parts, index) => (parts.includes(name) ? [index] : [])).join();
    if (users === '') continue;
    groups.set(users, [...(groups.get(users) ?? []), name]);
  }
  return [...groups.values()];
}

/** The parts of a group that others ask the loader for. */
function askedFor(group, entry, outputs) {
  const asked = new Set([entry]);
  for (const [importer, { imports }] of outputs) {
    for (const { path, kind, external } of imports) {
      if (!external && (kind === 'dynamic-import' || !group.includes(importer))) asked.add(basename(path));
    }
  }
  return group.filter((name) => asked.has(name));
}

/**
 * Several parts as one module in CommonJS, which exports the exports of those that are asked for under their names. Within
 * it the bundler joins what the parts import from each other, so that nothing is looked up when it runs.
 */
async function merged(names, asked, texts, { target, minifySyntax, minifyWhitespace, logLevel }) {
  const parts = {
    name: 'parts',
    setup(build) {
      build.onResolve({ filter: /^\.\// }, ({ path, kind }) =>
        // What is imported late is asked of the loader, also when it is here.
        kind !== 'dynamic-import' && names.includes(path.slice(2))
          ? { path, namespace: 'part' }
          : { path, external: true },
      );
      build.onLoad({ filter: /./, namespace: 'part' }, ({ path }) => ({
        contents: texts.get(path.slice(2)),
      }));
    },
  };
  const { outputFiles } = await esbuild.build({
    stdin: {
      contents: asked
        .map((name) => `export * as ${JSON.stringify(`./${name}`)} from './${name}';`)
        .join('\n'),
    },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    plugins: [parts],
    supported: CODE_FOR_VM,
    write: false,
    ...{ target, minifySyntax, minifyWhitespace, logLevel },
  });
  return outputFiles[0].text;
}

/** Whoever reads a stack trace needs the names of functions and classes, and a class has that of its variable. */
async function withShortNames(code) {
  const classes = [...code.matchAll(/([\w$]+)=class\b/g)].map(([, name]) => name);
  const mangle = { toplevel: true, keep_classnames: true, keep_fnames: true };
  const reserved = ['module', 'exports', 'require', ...classes];
  const format = { ascii_only: true };
  const result = await minify(code, { compress: false, mangle: { ...mangle, reserved }, format });
  return result.code;
}

/** All parts in the order in which a program that imports everything would load them: what is needed together is near. */
function inLoadingOrder(first, outputs) {
  const order = new Set();
  const visit = (name) => {
    if (order.has(name)) return;
    order.add(name);
    const own = outputs.get(name).imports.filter(({ external }) => !external);
    const later = (kind) => (kind === 'dynamic-import' ? 1 : 0);
    for (const { path } of own.sort((a, b) => later(a.kind) - later(b.kind))) visit(basename(path));
  };
  visit(first);
  return [...order];
}

const BROTLI = { params: { [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT } };

/** Characters of code that are compressed together, unless a single part has more. */
const GROUP = 60_000;

function inGroups(parts) {
  const groups = [];
  let size = GROUP;
  for (const part of parts) {
    const [, code] = part;
    if (size + code.length > GROUP) {
      groups.push([]);
      size = 0;
    }
    groups.at(-1).push(part);
    size += code.length;
  }
  return groups;
}

/**
 * A comment with compressed code.
 *
 * @returns places of the parts: start of the compressed text, counted from the end of the file, and its length; start and
 *   end in the bytes that it becomes
 */
function asComment(parts) {
  const end = '*/\n';
  const places = {};
  let text = end;
  for (const group of inGroups(parts)) {
    const compressed = brotliCompressSync(group.map(([, code]) => code).join(''), BROTLI).toString('base64');
    text = compressed + text;
    let start = 0;
    for (const [name, code] of group) {
      const size = Buffer.byteLength(code);
      places[name] = [text.length, compressed.length, start, start + size];
      start += size;
    }
  }
  return { comment: `/*${text}`, places };
}

/** The part that a module starts. */
function partOf(module, outputs) {
  const found = [...outputs].find(([, { entryPoint }]) => entryPoint === module);
  if (!found) throw new Error(`${module} starts no part: nothing import()s it`);
  return found[0];
}

/** An ES module as CommonJS. */
async function commonJs(code, { target, minifySyntax, minifyWhitespace }) {
  const result = await esbuild.transform(code, {
    format: 'cjs',
    platform: 'node',
    target,
    minifySyntax,
    minifyWhitespace,
    supported: CODE_FOR_VM,
  });
  return result.code;
}

/** The parts that modules start, and those that these import without waiting for anything, directly or not. */
function loadedBy(modules, outputs) {
  const found = modules.map((module) => partOf(module, outputs));
  for (const name of found) {
    for (const { path, kind, external } of outputs.get(name).imports) {
      if (kind === 'import-statement' && !external && !found.includes(basename(path)))
        found.push(basename(path));
    }
  }
  return found;
}

/** Loads a part once, with all of its group if it is in one, or a module of Node. */
const LOADER = `
const loaded = {};
function load(name) {
  if (!name.startsWith('./')) return require(name);
  if (name in loaded) return loaded[name].exports;
  const group = GROUPS[name];
  if (group !== undefined) return load(group)[name];
  const module = (loaded[name] = { exports: {} });
  (AT_ONCE[name] ?? compiled(name))(module, module.exports, load);
  return module.exports;
}
let file, fileSize;
const expanded = {};
function compiled(name) {
  const [fromEnd, length, start, end] = PLACES[name];
  const code = (expanded[fromEnd] ??= expand(fromEnd, length)).toString('utf8', start, end);
  const parameters = ['module', 'exports', 'require'];
  return require('node:vm').compileFunction(code, parameters, { filename: __filename + ' (' + name.slice(2) + ')' });
}
function expand(fromEnd, length) {
  const { fstatSync, openSync, readSync } = require('node:fs');
  file ??= openSync(__filename);
  fileSize ??= fstatSync(file).size;
  const text = Buffer.allocUnsafe(length);
  readSync(file, text, 0, length, fileSize - fromEnd);
  return require('node:zlib').brotliDecompressSync(Buffer.from(text.latin1Slice(), 'base64'));
}`.trim();
