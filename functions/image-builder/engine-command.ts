// The part of the function that needs the engine; loaded when it is called.
import { answer } from './answer.ts';
import type { Handlers } from './run.ts';
import type { StandaloneInput } from './standalone.ts';

/** Handlers of all kinds; each is loaded when an object of its kind comes. */
export const HANDLERS: Handlers = {
  ConfigMap: async () => (await import('./handlers/config-map.ts')).handleConfigMap,
  ImageBuilder: async () => {
    const [{ imageBuilderHandler }, { localEngine }, { containerFacts, withContainerAdvice }] =
      await Promise.all([
        import('./handlers/image-builder.ts'),
        import('./engine.ts'),
        import('./container-advice.ts'),
      ]);
    return withContainerAdvice(imageBuilderHandler(localEngine), containerFacts(process.env));
  },
  IsoConfiguration: async () => (await import('./handlers/iso-configuration.ts')).handleIsoConfiguration,
};

/** Answers a standalone run. */
export async function answerStandalone(input: StandaloneInput): Promise<void> {
  const { runStandalone } = await import('./standalone.ts');
  await answer((context) => runStandalone(input, context, HANDLERS));
}

/** Builds what a render has triggered. */
export async function buildInBackground(): Promise<void> {
  const { runTriggeredBuild } = await import('../../image-builder/build/background/background-build.ts');
  await runTriggeredBuild();
}
