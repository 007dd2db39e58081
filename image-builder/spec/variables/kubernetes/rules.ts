// What a Kubernetes node does not work with, however its variables have come about. Pure.
import type { Finding } from '../../../base/diagnostics/error.ts';
import { formatFieldPath } from '../../../base/diagnostics/field-path.ts';
import type { KubernetesVariables } from '../../api/types.ts';
import type { DistributionData } from '../distribution.ts';
import type { ResolvedBuild } from '../resolved.ts';
import type { NameAndValue } from '../resolved-osconfig.ts';
import { CGROUP_V2_SINCE, type KubernetesVersion } from './minors.ts';

type Images = Pick<ResolvedBuild, 'rootfs' | 'qcows'>;

/** Findings about control groups and swap: the kubelet starts with neither cgroup v1 nor swap unless it is told to. */
export function checkNode(
  version: KubernetesVersion,
  { kubeletConfiguration = {} }: KubernetesVariables,
  distribution: DistributionData,
  images: Images,
): Finding[] {
  return [
    ...(kubeletConfiguration.failCgroupV1 === false ? [] : controlGroups(version, distribution, images)),
    ...(kubeletConfiguration.failSwapOn === false ? [] : swap(images)),
  ];
}

/** Chooses the hierarchy that systemd mounts (systemd(1), Kernel Command Line). */
const UNIFIED = 'systemd.unified_cgroup_hierarchy';

function controlGroups(
  { number, text }: KubernetesVersion,
  { cgroup_version: usual = 2 }: DistributionData,
  { rootfs, qcows }: Images,
): Finding[] {
  if (number < CGROUP_V2_SINCE) return [];
  const isOld = (args: readonly NameAndValue[]) => (hierarchyOf(args) ?? usual) === 1;
  const common = isOld(rootfs.osconfig.grub.GRUB_CMDLINE_LINUX_DEFAULT);
  const places = common
    ? [['spec', 'build', 'rootfs', 'osconfig']]
    : Object.entries(qcows)
        .filter(([, { osconfig }]) => isOld(osconfig.grub.GRUB_CMDLINE_LINUX_DEFAULT))
        .map(([name]) => ['spec', 'build', 'qcows', name, 'osconfig']);
  return places.map((place) => ({
    severity: 'error',
    field: formatFieldPath([...place, 'grub', 'GRUB_CMDLINE_LINUX_DEFAULT']),
    message: `starts the node with cgroup v1, which the kubelet from 1.${CGROUP_V2_SINCE} on (here ${text}) refuses\nhint: grub_cmdline_linux_default_append: [{name: ${UNIFIED}, value: "1"}]; or kubernetes.kubeletConfiguration: {failCgroupV1: false}`,
  }));
}

/** Undefined when the command line does not say. */
function hierarchyOf(args: readonly NameAndValue[]): 1 | 2 | undefined {
  const argument = args.findLast(({ name }) => name === UNIFIED);
  if (argument === undefined) return undefined;
  return /^(0|no|n|false|f|off)$/i.test(argument.value ?? '1') ? 1 : 2;
}

function swap({ qcows }: Images): Finding[] {
  return Object.entries(qcows).flatMap(([name, { qcow }]) =>
    qcow.partitions.flatMap(({ filesystem }, index): Finding[] =>
      filesystem?.type === 'swap'
        ? [
            {
              severity: 'error',
              field: formatFieldPath(['spec', 'build', 'qcows', name, 'qcow', 'partitions', index]),
              message:
                'is swap, with which the kubelet does not start\nhint: leave it out; or kubernetes.kubeletConfiguration: {failSwapOn: false, memorySwap: {swapBehavior: LimitedSwap}}',
            },
          ]
        : [],
    ),
  );
}
