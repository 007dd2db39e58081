// Every relative link in the documentation leads somewhere, and every page that the sources name exists.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(__dirname, '../../..');
const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\0')
  .filter((path) => path !== '' && existsSync(join(root, path)));
const read = (path: string) => readFileSync(join(root, path), 'utf8');

const LINK = /\]\(([^()\s]+)\)/g;
/** A page of ours; `docs/` inside of a URL is somebody else's. */
const NAMED_PAGE = /(?<![\w/.-])docs\/[\w./-]+\.md(?:#[\w-]+)?/g;

/** The anchors that GitHub gives the headings of a page. */
function anchors(markdown: string): string[] {
  const headings = withoutCode(markdown).match(/^#+ .*$/gm) ?? [];
  return headings.map((heading) =>
    heading
      .replace(/^#+ /, '')
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .trim()
      .replace(/ /g, '-'),
  );
}

const withoutCode = (markdown: string) => markdown.replace(/^```[\s\S]*?^```/gm, '');

/** Why a link from a file leads nowhere; undefined when it does. */
function fault(from: string, link: string): string | undefined {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? from : join(dirname(from), path);
  if (!existsSync(join(root, target))) return `${from}: ${link}: no such file`;
  if (anchor !== undefined && !anchors(read(target)).includes(anchor))
    return `${from}: ${link}: no such heading`;
  return undefined;
}

test('every relative link of a page leads to a file and a heading', () => {
  const pages = files.filter((path) => path.endsWith('.md'));
  const links = pages.flatMap((page) =>
    [...withoutCode(read(page)).matchAll(LINK)]
      .map(([, link = '']) => ({ page, link }))
      .filter(({ link }) => !/^[a-z]+:/.test(link)),
  );
  expect(links.length).toBeGreaterThan(50);
  expect(links.map(({ page, link }) => fault(page, link)).filter((text) => text !== undefined)).toEqual([]);
});

test('every page that a source file, an example or a message names exists', () => {
  const sources = files.filter(
    (path) => !/\.(md|lock)$|^package-lock\.json$|^test\/fuzz\/corpus\//.test(path),
  );
  const named = sources.flatMap((path) =>
    [...read(path).matchAll(NAMED_PAGE)].map(([page]) => ({ path, page })),
  );
  expect(named.length).toBeGreaterThan(5);
  const missing = named.filter(({ page }) => fault('README.md', page) !== undefined);
  expect(missing.map(({ path, page }) => `${path}: ${page}`)).toEqual([]);
});

test('the index of the documentation names every page', () => {
  const index = read('docs/README.md');
  const pages = files.filter((path) => /^docs\/.*\.md$/.test(path) && path !== 'docs/README.md');
  expect(pages.filter((page) => !index.includes(`(${page.slice('docs/'.length)})`))).toEqual([]);
});
