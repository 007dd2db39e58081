// The dependency rule of docs/architecture.md as a test: an import that points the wrong way fails here.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = join(__dirname, '../..');

const files = 'image-builder/files';

/** What the modules of each folder may import besides their own folder. */
const allowed: Record<string, string[]> = {
  'image-builder/diagnostics': [],
  'image-builder/files': [],
  'image-builder/yaml': ['image-builder/diagnostics'],
  'image-builder/spec': ['image-builder/diagnostics', 'image-builder/yaml'],
  'image-builder/tar': ['image-builder/diagnostics'],
  'image-builder/registry': ['image-builder/diagnostics', 'image-builder/tar', files],
  'image-builder/policy': ['image-builder/diagnostics'],
  'image-builder/executors': ['image-builder/diagnostics'],
  'image-builder/locking': ['image-builder/diagnostics'],
  'image-builder/store': ['image-builder/diagnostics', 'image-builder/locking', files],
  'image-builder/shared-store': [
    'image-builder/diagnostics',
    'image-builder/registry',
    'image-builder/store',
  ],
  'image-builder/bundle': [
    'image-builder/diagnostics',
    'image-builder/locking',
    'image-builder/registry',
    'image-builder/tar',
    files,
  ],
  'image-builder/profile': [
    'image-builder/diagnostics',
    'image-builder/bundle',
    'image-builder/spec',
    'image-builder/yaml',
  ],
  'image-builder/variables': [
    'image-builder/diagnostics',
    'image-builder/embedded',
    'image-builder/executors',
    'image-builder/policy',
    'image-builder/spec',
    'image-builder/yaml',
  ],
  'image-builder/rootfs': [
    'image-builder/diagnostics',
    'image-builder/executors',
    'image-builder/spec',
    'image-builder/variables',
    files,
  ],
  'image-builder/osconfig': [
    'image-builder/diagnostics',
    'image-builder/disk/grub-config.ts',
    'image-builder/spec',
    'image-builder/embedded',
    'image-builder/executors',
    'image-builder/rootfs',
    'image-builder/variables',
    files,
  ],
  'image-builder/disk': [
    'image-builder/bundle/types.ts',
    'image-builder/diagnostics',
    'image-builder/executors',
    'image-builder/spec',
    files,
  ],
  'image-builder/compare': [
    'image-builder/build',
    'image-builder/bundle',
    'image-builder/diagnostics',
    'image-builder/profile',
    'image-builder/store',
    'image-builder/yaml',
  ],
  'image-builder/boot': ['image-builder/diagnostics', files],
  'image-builder/kustomize': ['image-builder/diagnostics', files],
  'image-builder/doctor': ['image-builder/diagnostics', 'image-builder/executors', 'image-builder/kustomize'],
};

function sourceFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

function importsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) =>
    relative(root, join(dirname(file), match[1] as string)),
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

describe('dependencies point one way', () => {
  test.each(Object.entries(allowed))('%s', (folder, others) => {
    const wrong = sourceFiles(join(root, folder)).flatMap((file) =>
      importsOf(file)
        .filter((target) => ![folder, ...others].some((ok) => isBelow(target, ok)))
        .map((target) => `${relative(root, file)} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test('the engine does not know the functions', () => {
    const wrong = sourceFiles(join(root, 'image-builder'))
      .filter((file) => !isBelow(relative(root, file), 'image-builder/cli'))
      .flatMap((file) => importsOf(file).filter((target) => isBelow(target, 'functions')));
    expect(wrong).toEqual([]);
  });

  test('no files import each other in a circle', () => {
    const files = ['image-builder', 'functions'].flatMap((folder) => sourceFiles(join(root, folder)));
    expect(circles(files)).toEqual([]);
  });
});
