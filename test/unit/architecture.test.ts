// The dependency rule of docs/explanation/architecture.md as a test: an import that points the wrong way fails here.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = join(__dirname, '../..');

/** A room: a folder of the engine, or the function's. */
interface Room {
  /** From the root of the repository. */
  folder: string;
  /** Folders that its modules may import besides their own. */
  imports: string[];
}

/** The rooms in the order of the table in docs/explanation/architecture.md, which is the rule. */
function readRooms(): Room[] {
  const page = readFileSync(join(root, 'docs/explanation/architecture.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `([^`]+)` \| [^|]+ \| ([^|]*) \|$/gm)];
  const path = (name: string) => (name.startsWith('functions') ? name : `image-builder/${name}`);
  return rows.map(([, name = '', imports = '']) => ({
    folder: path(name),
    imports: [...imports.matchAll(/`([^`]+)`/g)].map(([, other = '']) => path(other)),
  }));
}

const rooms = readRooms();

function sourceFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The modules that names of package.json stand for, one of them in each runtime. */
const aliases: Record<string, Record<string, string>> = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
).imports;

function importsOf(file: string): string[] {
  const names = [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([.#][^']+)'/g)];
  return names.flatMap(([, name = '']) =>
    name.startsWith('#')
      ? Object.values(aliases[name] ?? {}).map((path) => relative(root, join(root, path)))
      : [relative(root, join(dirname(file), name))],
  );
}

/** Groups of files that import each other in a circle; types and dynamic imports count. */
function circles(files: readonly string[]): string[][] {
  const graph = new Map(files.map((file) => [relative(root, file), importsOf(file)]));
  // Tarjan's strongly connected components.
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): void => {
    order.set(file, order.size);
    lowest.set(file, order.get(file) ?? 0);
    stack.push(file);
    for (const target of graph.get(file) ?? []) {
      if (!graph.has(target)) continue;
      if (!order.has(target)) visit(target);
      const reached = stack.includes(target) ? (lowest.get(target) ?? 0) : Infinity;
      lowest.set(file, Math.min(lowest.get(file) ?? 0, reached));
    }
    if (lowest.get(file) !== order.get(file)) return;
    const circle = stack.splice(stack.indexOf(file));
    if (circle.length > 1) found.push(circle.sort());
  };
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return found;
}

const isBelow = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);

/** The innermost room of a file. */
const roomOf = (file: string): Room | undefined =>
  rooms.filter(({ folder }) => isBelow(file, folder)).sort((a, b) => b.folder.length - a.folder.length)[0];

describe('dependencies point one way', () => {
  const everything = ['image-builder', 'functions'].flatMap((folder) =>
    sourceFiles(join(root, folder)).map((file) => relative(root, file)),
  );

  test('every file is in a room of the table, and every room has files', () => {
    expect(everything.filter((file) => !roomOf(file))).toEqual([]);
    expect(rooms.filter(({ folder }) => !everything.some((file) => isBelow(file, folder)))).toEqual([]);
    expect(rooms.length).toBeGreaterThan(10);
  });

  test('a room imports rooms above it in the table only', () => {
    const above = (index: number, other: string) =>
      rooms.slice(0, index).some(({ folder }) => isBelow(folder, other));
    const wrong = rooms.flatMap(({ folder, imports }, index) =>
      imports.filter((other) => !above(index, other)).map((other) => `${folder} imports ${other}`),
    );
    expect(wrong).toEqual([]);
  });

  test.each(rooms)('$folder', ({ folder, imports }) => {
    const inside = everything.filter((file) => roomOf(file)?.folder === folder);
    const targets = inside.flatMap((file) => importsOf(join(root, file)).map((target) => ({ file, target })));
    const wrong = targets
      .filter(({ target }) => ![folder, ...imports].some((ok) => isBelow(target, ok)))
      .map(({ file, target }) => `${file} imports ${target}`);
    expect(wrong).toEqual([]);
    expect(imports.filter((other) => !targets.some(({ target }) => isBelow(target, other)))).toEqual([]);
  });

  test('no files import each other in a circle', () => {
    expect(circles(everything.map((file) => join(root, file)))).toEqual([]);
  });
});
