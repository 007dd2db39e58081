# Thin targets over the scripts and the CLI. Two of them are for newcomers: demo and test. The others have the names and
# variables of Airship image-builder; docs/predecessor.md tells what each means here.
.PHONY: demo test setup native help images build docker_build cut_image generate_iso package_qcow tag push clean

## Set up this machine, build a small real node image through kustomize, print its catalogue.
demo:
	@scripts/demo.sh

## Set up this machine and run every test.
test:
	@scripts/test.sh

## Only install what is needed.
setup:
	@scripts/setup.sh

## dist/native: both programs as one executable that needs no Node.
native:
	scripts/setup.sh --native
	npm run --silent build:native

DOCKER_REGISTRY ?= quay.io
IMAGE_PREFIX ?= airshipit
IMAGE_TAG ?= latest
DISTRO ?= debian_trixie
WORKDIR ?= manifests
PROFILE ?=
QCOW_BUNDLE ?= $(WORKDIR)/qcow-bundle
QCOW_BUNDLE_DIRS ?= $(notdir $(wildcard $(WORKDIR)/qcow-bundle*))
IMAGE_TYPE ?= iso
PUSH_IMAGE ?= false
PROXY ?=
NO_PROXY ?= localhost,127.0.0.1
BOOT_TIMEOUT ?= 300
# Where the OCI layouts of the bundles are written.
OUTPUT ?= out
# Mirrors of the distribution, the first that works is used; default: that of this machine's apt.
MIRROR ?=
# Lock file with the exact packages, see `image-builder lock`.
LOCK ?=
IMAGE_BUILDER ?= dist/image-builder

TAG = $(IMAGE_TAG)-$(DISTRO)
IMAGE = $(DOCKER_REGISTRY)/$(IMAGE_PREFIX)/image-builder:$(TAG)
comma := ,
space := $(subst ,, )

ifneq ($(PROXY),)
export http_proxy = $(PROXY)
export https_proxy = $(PROXY)
export HTTP_PROXY = $(PROXY)
export HTTPS_PROXY = $(PROXY)
export no_proxy = $(NO_PROXY)
export NO_PROXY
endif

ifneq ($(APT_MIRROR_PROBLEM_LIST),)
$(warning APT_MIRROR_PROBLEM_LIST has no effect; name the mirrors to fall back to with MIRROR='http://first http://second')
endif
ifeq ($(SKIP_LIVECDCONTENT_ROLE),true)
$(warning SKIP_LIVECDCONTENT_ROLE has no effect: the live system is only made again when something in it has changed)
endif

# What the skip switches leave as it was: SKIP_MULTI_ROLE the packages, the others their configuration too.
REUSE = $(if $(filter true,$(SKIP_MULTISTRAP) $(SKIP_OSCONFIG_ROLE)),--reuse osconfig,$(if $(filter true,$(SKIP_MULTI_ROLE)),--reuse rootfs))

# spec.build of everything that is made from WORKDIR.
BUILD_SPEC = distribution: $(DISTRO), manifests: $(WORKDIR)$(if $(PROFILE),$(comma) profile: $(PROFILE))$(if $(MIRROR),$(comma) mirror: [$(subst $(space),$(comma) ,$(strip $(MIRROR)))])$(if $(LOCK),$(comma) lock: $(LOCK))
# Whoever runs make answers for the paths that it is given.
export IMAGE_BUILDER_ALLOW_PATHS := $(WORKDIR):$(dir $(abspath $(WORKDIR)))profiles$(if $(LOCK),:$(LOCK))$(if $(IMAGE_BUILDER_ALLOW_PATHS),:$(IMAGE_BUILDER_ALLOW_PATHS))
export IMAGE_BUILDER_ALLOW_OUTPUTS := $(OUTPUT)$(if $(IMAGE_BUILDER_ALLOW_OUTPUTS),:$(IMAGE_BUILDER_ALLOW_OUTPUTS))
# $(call object,NAME,FURTHER FIELDS): an ImageBuilder object for standard input.
object = printf '%s\n' '{apiVersion: airshipit.org/v1alpha1, kind: ImageBuilder, metadata: {name: $(1)}, spec: {build: {$(BUILD_SPEC)$(if $(2),$(comma) $(2))}}}'

help:
	@sed -n 's/^## //p' Makefile

$(IMAGE_BUILDER):
	scripts/setup.sh
	npm run --silent build

## The root file system, every bundle and the ISO.
images: build package_qcow generate_iso

## The root file system that all images share, into the store.
build: $(IMAGE_BUILDER)
	$(call object,$(notdir $(QCOW_BUNDLE))) | $(IMAGE_BUILDER) build - --stage osconfig $(REUSE)

## The builder image, for those who still call it; no target here needs it.
docker_build: $(IMAGE_BUILDER)
	docker build --target image-builder --build-arg BUILD_SPEC='{distribution: $(DISTRO)}' --tag $(IMAGE) .

## One image type: IMAGE_TYPE=iso the ISO, IMAGE_TYPE=qcow the QCOWs of QCOW_BUNDLE, beside their variables.
cut_image: cut_image_$(strip $(IMAGE_TYPE))

.PHONY: cut_image_iso cut_image_qcow
cut_image_iso: $(IMAGE_BUILDER)
	$(call object,$(notdir $(QCOW_BUNDLE)),iso: {}) | $(IMAGE_BUILDER) iso - --output $(WORKDIR)/iso $(REUSE)
	[ $(BOOT_TIMEOUT) = 0 ] || $(IMAGE_BUILDER) boot-test $(WORKDIR)/iso/ephemeral.iso --timeout $(BOOT_TIMEOUT)

cut_image_qcow: package_$(notdir $(QCOW_BUNDLE))
	$(IMAGE_BUILDER) copy oci:$(OUTPUT)/$(notdir $(QCOW_BUNDLE)):$(TAG) $(QCOW_BUNDLE)

## The ISO of WORKDIR/iso.
generate_iso: cut_image_iso

## One bundle for each of QCOW_BUNDLE_DIRS, with a QCOW for each of its subdirectories.
package_qcow: $(addprefix package_,$(QCOW_BUNDLE_DIRS))

package_%: $(IMAGE_BUILDER)
	$(call object,$*,bundle: {layout: $(OUTPUT)/$*$(comma) tag: $(TAG)}) | $(IMAGE_BUILDER) build - --boot-test $(BOOT_TIMEOUT) $(REUSE) > /dev/null
	$(if $(filter true,$(PUSH_IMAGE)),$(MAKE) --file $(firstword $(MAKEFILE_LIST)) push_$*)

## Give SOURCE_IMAGE_TAG in a registry the name TARGET_IMAGE_TAG too.
tag: $(IMAGE_BUILDER)
	$(IMAGE_BUILDER) tag $(SOURCE_IMAGE_TAG) $(TARGET_IMAGE_TAG) $(REGISTRY_OPTIONS)

## Push the bundles to DOCKER_REGISTRY/IMAGE_PREFIX.
push: $(addprefix push_,$(QCOW_BUNDLE_DIRS))

push_%: $(IMAGE_BUILDER)
	$(IMAGE_BUILDER) push oci:$(OUTPUT)/$*:$(TAG) $(DOCKER_REGISTRY)/$(IMAGE_PREFIX)/$*:$(TAG) $(REGISTRY_OPTIONS)

## Remove what the targets have written; results stay in the store (image-builder store gc).
clean:
	rm -rf $(addprefix $(OUTPUT)/,$(QCOW_BUNDLE_DIRS))
	find $(WORKDIR) \( -name '*.iso' -o -name '*.qcow2' -o -name '*.md5sum' -o -name 'profile_*.json' \) -type f -delete
