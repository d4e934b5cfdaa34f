// What fhir-kit-client does of its own accord, on the service.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'fhir-kit-client';
import { patient, submission, tokens, url } from './made.mjs';

const as = (party) => new Client({ baseUrl: url, bearerToken: tokens[party] });
const hospital = as('his-a');

const refused = async (promise, status, code) => {
  const fault = await promise.then(() => assert.fail('it was not refused'), (raised) => raised);
  assert.equal(fault.response?.status, status, String(fault));
  assert.equal(fault.response.data.resourceType, 'OperationOutcome');
  assert.equal(fault.response.data.issue[0].code, code);
};

test('the CapabilityStatement and where to get a token', async () => {
  const said = await hospital.capabilityStatement();
  assert.equal(said.fhirVersion, '4.0.1');
  const smart = await hospital.smartAuthMetadata();
  assert.match(String(smart.tokenUrl), /\/auth\/token$/);
});

test('create, read, vread, update with If-Match, patch', async () => {
  const made = await hospital.create({ resourceType: 'Patient', body: patient() });
  const read = await hospital.read({ resourceType: 'Patient', id: made.id });
  assert.deepEqual(read, made);
  const later = await hospital.update({
    resourceType: 'Patient', id: made.id, body: { ...made, gender: 'other' }, options: { headers: { 'If-Match': 'W/"1"' } },
  });
  assert.equal(later.meta.versionId, '2');
  assert.equal((await hospital.vread({ resourceType: 'Patient', id: made.id, version: '1' })).gender, 'female');
  await refused(
    hospital.update({ resourceType: 'Patient', id: made.id, body: made, options: { headers: { 'If-Match': 'W/"1"' } } }), 412, 'conflict');
  const patched = await hospital.patch({
    resourceType: 'Patient', id: made.id, jsonPatch: [{ op: 'replace', path: '/gender', value: 'male' }],
  });
  assert.equal(patched.gender, 'male');
});

test('conditional create and conditional update', async () => {
  const person = patient();
  const { system, value } = person.identifier[0];
  const only = { headers: { 'If-None-Exist': `identifier=${system}|${value}` } };
  const made = await hospital.create({ resourceType: 'Patient', body: person, options: only });
  assert.equal((await hospital.create({ resourceType: 'Patient', body: person, options: only })).id, made.id);
  const updated = await hospital.update({
    resourceType: 'Patient', searchParams: { identifier: `${system}|${value}` }, body: { ...person, gender: 'other' },
  });
  assert.equal(updated.id, made.id);
});

test('search by GET and by POST, and from page to page there and back', async () => {
  for (let n = 0; n < 5; n += 1) await hospital.transaction({ body: submission() });
  const first = await hospital.search({ resourceType: 'Task', searchParams: { _count: 2 } });
  assert.equal(first.entry.length, 2);
  const second = await hospital.nextPage({ bundle: first });
  assert.equal(second.entry.length, 2);
  const seen = first.entry.map((entry) => entry.resource.id);
  assert.ok(second.entry.every((entry) => !seen.includes(entry.resource.id)));
  const posted = await hospital.search({
    resourceType: 'Task', searchParams: { status: 'requested', _count: 3 }, options: { postSearch: true },
  });
  assert.ok(posted.entry.length === 3);
});

test('the compartment of a patient', async () => {
  const answer = await hospital.transaction({ body: submission() });
  const id = answer.entry[0].response.location.split('/')[1];
  const found = await hospital.search({ resourceType: 'ServiceRequest', compartment: { resourceType: 'Patient', id } });
  assert.equal(found.type, 'searchset');
  assert.deepEqual(found.entry.map((entry) => entry.resource.intent).sort(), ['filler-order', 'order']);
});

test('history of an instance and of a type; of the whole system there is none', async () => {
  const made = await hospital.create({ resourceType: 'Patient', body: patient() });
  const one = await hospital.history({ resourceType: 'Patient', id: made.id });
  assert.equal(one.entry.length, 1);
  const typed = await hospital.history({ resourceType: 'Task' });
  assert.equal(typed.type, 'history');
  await refused(hospital.history(), 404, 'not-supported');
});

test('a batch, an operation, and what is refused', async () => {
  const answer = await hospital.batch({
    body: { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: 'Organization?_count=1' } }] },
  });
  assert.equal(answer.type, 'batch-response');
  const route = await hospital.operation({ name: 'route', resourceType: 'ServiceRequest', input: submission() });
  assert.equal(route.resourceType, 'Parameters');
  const checked = await hospital.operation({ name: 'validate', resourceType: 'Patient', input: patient() });
  assert.equal(checked.resourceType, 'OperationOutcome');
  const made = await hospital.create({ resourceType: 'Patient', body: patient() });
  await refused(hospital.delete({ resourceType: 'Patient', id: made.id }), 405, 'not-supported');
  await refused(hospital.systemSearch({ searchParams: { name: 'x' } }), 405, 'not-supported');
  await refused(hospital.read({ resourceType: 'Medication', id: '1' }), 404, 'not-supported');
});
