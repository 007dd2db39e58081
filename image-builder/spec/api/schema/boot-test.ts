// Whether and how each image is booted before the bundle is published (spec.build.bootTest).
import { Type } from 'typebox';
import { strictObject } from './common.ts';

/** `spec.build.bootTest`: how long, by which firmware, and what Kubernetes has to prove. */
export const BootTest = strictObject({
  timeout: Type.Optional(
    Type.Integer({
      minimum: 0,
      description:
        'Seconds to wait for the login prompt, or for the end of the tests; 0: no boot test. Default: 0, with kubernetes or tests 1200, with join 2400.',
    }),
  ),
  firmware: Type.Optional(
    Type.Array(Type.Union([Type.Literal('bios'), Type.Literal('uefi')]), { minItems: 1 }),
  ),
  kubernetes: Type.Optional(
    Type.Union([Type.Literal('preflight'), Type.Literal('join')], {
      description:
        'What kubeadm inside of the booted image has to prove. preflight: its checks, and a dry run of init. join: that it joins a control plane on this machine and runs a Pod, also after a reboot.',
    }),
  ),
});
