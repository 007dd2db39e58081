// What `image-builder-fn --help` (and so `kpt fn doc`) prints.
import { version } from '../../image-builder/embedded/release.ts';

/** The help text. */
export function help(): string {
  return `image-builder-fn ${version}: node images for bare-metal Kubernetes as a KRM function

Usage:
  image-builder-fn < RESOURCE_LIST                    as a function of kustomize, kpt or airshipctl
  image-builder-fn CONFIG.yaml [INPUT.yaml|-]         standalone: prints the items; - reads INPUT from standard input
  image-builder-fn --help | --version

functionConfig:
  kind: ImageBuilder, apiVersion: airshipit.org/v1alpha1
    spec.bundle     read the catalogues from a bundle: a registry reference, oci:DIR[:TAG], oci-archive:FILE,
                    docker-archive:FILE
    spec.bundles    the same of many bundles at once, by names that their catalogues begin with
    spec.items      under transformers: do what the ImageBuilder objects among the items say, by one process
    spec.build      build the images and the bundle, or take them from the store if nothing has changed
    spec.catalogue  namePrefix, labels and annotations of the catalogues, imageBaseURL for the URLs of the images
  kind: ConfigMap, apiVersion: v1
    data.configPath profile to return, below /profiles of the image that the function runs in
    data.header     YAML that is put before the profile: apiVersion, kind, metadata
  kind: IsoConfiguration, apiVersion: airshipit.org/v1alpha1
    makes the ISO of the ephemeral node with the cloud-init data of the Secret and the BareMetalHost among the items;
    returns items only to kustomize and kpt, which would delete them; airshipctl prints them

The answer is the ResourceList with one VariableCatalogue for each profile, and <name>-artifacts with the bundle's
digest and the URL, checksum and size of each image. Errors go to standard error and to results; the exit status is
then not 0, and all items are returned.

Example (kustomize build --enable-alpha-plugins --enable-exec, under generators:):
  apiVersion: airshipit.org/v1alpha1
  kind: ImageBuilder
  metadata:
    name: node-image
    annotations:
      config.kubernetes.io/function: "exec: {path: image-builder-fn}"
  spec:
    bundle: {image: 'oci:./bundle:latest'}

The JSON Schema of ImageBuilder: image-builder schema; as a KRMFunctionDefinition: image-builder.krm.yaml beside this
executable, or image-builder schema --format krm.
`;
}
