// `image-builder schema`: the API as a JSON Schema, for editors and other tools.
import { type Command, Option } from 'commander';

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('schema')
    .description('print the JSON Schema of the ImageBuilder object')
    .addOption(
      new Option('--format <format>', 'json: JSON Schema; krm: KRMFunctionDefinition')
        .choices(['json', 'krm'])
        .default('json'),
    )
    .action(async ({ format }: { format: 'json' | 'krm' }) => {
      process.stdout.write(format === 'json' ? await jsonSchema() : await krmFunctionDefinition());
    });
}

async function jsonSchema(): Promise<string> {
  const { imageBuilderSchema } = await import('../../embedded/schema.ts');
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'ImageBuilder',
    ...imageBuilderSchema,
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

async function krmFunctionDefinition(): Promise<string> {
  const { functionDefinition } = await import('../../../functions/image-builder/definition.ts');
  const { stringify } = await import('yaml');
  return stringify(functionDefinition(), { lineWidth: 0, aliasDuplicateObjects: false });
}
