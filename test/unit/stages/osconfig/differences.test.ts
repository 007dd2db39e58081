import type { ResolvedOsconfig } from '../../../../image-builder/spec/variables/resolved-osconfig.ts';
import { changedSettings, qcowDiffers } from '../../../../image-builder/stages/osconfig/differences.ts';

const file = (name: string, contexts: ('common' | 'qcow')[]) => ({
  name,
  file_content: '',
  owner: 'root',
  group: 'root',
  permissions: '0644',
  run_contexts: contexts,
});

const common: ResolvedOsconfig = {
  kernel: { modules: { load: [{ name: 'bonding' }], blacklist: [] } },
  banners: { login: 'a', motd: '' },
  kubelet: { extra_systemd_args: [] },
  grub: { GRUB_TIMEOUT: 5, GRUB_CMDLINE_LINUX_DEFAULT: [], GRUB_SERIAL_COMMAND: '' },
  kdump_tools: { crashkernel: '' },
  limits: [],
  sysctl: [{ name: 'kernel.panic', value: '3' }],
  directories: [],
  files: [file('/etc/common', ['common'])],
  systemd: [],
  user_scripts: [],
  file_permissions: [],
  user_management: [],
  fetch_from_url: [],
};

test('equal settings leave nothing to do, whatever items the other context has', () => {
  expect(qcowDiffers(JSON.parse(JSON.stringify(common)), common)).toBe(false);
  expect(qcowDiffers({ ...common, files: [] }, common)).toBe(false);
  expect(qcowDiffers({ ...common, files: [file('/etc/more', ['common'])] }, common)).toBe(false);
});

test.each<[string, Partial<ResolvedOsconfig>]>([
  ['an item for QCOWs', { files: [file('/etc/qcow', ['qcow'])] }],
  ['an item for both contexts', { files: [file('/etc/both', ['common', 'qcow'])] }],
  ['a setting in a list', { sysctl: [{ name: 'kernel.panic', value: '4' }] }],
  ['a setting that a list has lost', { sysctl: [] }],
  ['a setting deep inside', { kernel: { modules: { load: [], blacklist: [] } } }],
  ['a text', { banners: { login: 'b', motd: '' } }],
])('%s is something to do', (_, changed) => {
  expect(qcowDiffers({ ...common, ...changed }, common)).toBe(true);
});

test('what has changed is named by its variable; items of contexts are no settings', () => {
  const changed = {
    ...common,
    banners: { login: 'a', motd: 'new' },
    grub: { ...common.grub, GRUB_TIMEOUT: 1 },
    sysctl: [],
    files: [file('/etc/qcow', ['qcow'])],
  };
  expect(changedSettings(changed, common).sort()).toEqual(['banners.motd', 'grub.GRUB_TIMEOUT', 'sysctl']);
  expect(changedSettings(common, common)).toEqual([]);
});
