// What images of the tests can do without when nobody boots them: a third of their files, which every stage goes through.

/** Values of `path_exclude`. */
export const UNUSED_FILES = [
  ...['doc', 'i18n', 'locale', 'man'].map((name) => `/usr/share/${name}/*`),
  ...['drivers', 'fs', 'net'].flatMap((name) =>
    ['/lib', '/usr/lib'].map((lib) => `${lib}/modules/*/kernel/${name}/*`),
  ),
];
