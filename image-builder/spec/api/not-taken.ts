// Fields that users of the predecessor, of multistrap and of Ansible know, and what stands for them here.

const INSTEAD: Record<string, string> = {
  explicitsuite: 'write a package from one suite as name/suite in packages',
  additional: 'put further packages into packages',
  reinstall: 'every package is configured in the image itself, so none needs reinstalling',
  append: 'groups are added to those the user already has',
  update_password: 'the image always sets the password',
  create_home: 'a home directory is always created',
  mode: 'the field is called permissions',
  path: 'the field is called name',
  content: 'the field is called file_content',
  daemon_reload: 'nothing runs in an image that is being built',
  state: 'nothing runs in an image that is being built; enabled and masked decide what the node starts',
};

/** What to write instead of a field that is not taken; undefined for any other unknown field. */
export function insteadOf(name: string): string | undefined {
  return Object.hasOwn(INSTEAD, name) ? INSTEAD[name] : undefined;
}
