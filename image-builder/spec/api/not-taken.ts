// Fields that users of the predecessor, of multistrap and of Ansible know, and what stands for them here.

const INSTEAD: Record<string, string> = {
  explicitsuite: 'a package of one suite is written name/suite in packages',
  additional: 'further packages go into packages',
  reinstall: 'every package is configured in the image itself, so none has to be installed again',
  append: 'groups are added to those that the user has',
  update_password: 'the password is always that of the image',
  create_home: 'a home is always made',
  mode: 'the field is called permissions',
  path: 'the field is called name',
  content: 'the field is called file_content',
  daemon_reload: 'nothing runs in an image that is being built',
  state: 'nothing runs in an image that is being built; enabled and masked say what the node starts',
};

/** What to write instead of a field that is not taken; undefined for any other unknown field. */
export function insteadOf(name: string): string | undefined {
  return Object.hasOwn(INSTEAD, name) ? INSTEAD[name] : undefined;
}
