// What Medplum's client does of its own accord, on the service.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MedplumClient } from '@medplum/core';
import { patient, request, submission, tokens, url } from './made.mjs';

const as = (party) =>
  new MedplumClient({ baseUrl: url.replace(/fhir$/, ''), fhirUrlPath: 'fhir', accessToken: tokens[party], cacheTime: 0, resourceCacheTime: 0 });
const hospital = as('his-a');
const agency = as('agency-a');

const refused = async (promise, code, status) => {
  const fault = await promise.then(() => assert.fail('it was not refused'), (raised) => raised);
  assert.equal(fault.outcome?.resourceType, 'OperationOutcome', String(fault));
  assert.equal(fault.outcome.issue[0].code, code);
  return fault;
};

test('create, read, read a version, history', async () => {
  const made = await hospital.createResource(patient());
  assert.ok(made.id && made.meta.versionId === '1');
  assert.deepEqual(await hospital.readResource('Patient', made.id), made);
  const later = await hospital.updateResource({ ...made, gender: 'unknown' });
  assert.equal(later.meta.versionId, '2');
  assert.equal((await hospital.readVersion('Patient', made.id, '1')).gender, 'female');
  const history = await hospital.readHistory('Patient', made.id);
  assert.equal(history.type, 'history');
  assert.deepEqual(history.entry.map((entry) => entry.resource.meta.versionId), ['2', '1']);
});

test('conditional create makes one and finds it again', async () => {
  const person = patient();
  const { system, value } = person.identifier[0];
  const query = `identifier=${system}|${value}`;
  const made = await hospital.createResourceIfNoneExist(person, query);
  const again = await hospital.createResourceIfNoneExist(person, query);
  assert.equal(again.id, made.id);
});

test('upsert is a conditional update', async () => {
  const person = patient();
  const { system, value } = person.identifier[0];
  const query = `identifier=${system}|${value}`;
  const made = await hospital.upsertResource(person, query);
  const changed = await hospital.upsertResource({ ...person, gender: 'other' }, query);
  assert.equal(changed.id, made.id);
  assert.equal(changed.gender, 'other');
});

test('update with If-Match: the stale one is refused', async () => {
  const made = await hospital.createResource(patient());
  await hospital.updateResource({ ...made, gender: 'other' }, { headers: { 'If-Match': 'W/"1"' } });
  const fault = await hospital.updateResource({ ...made, gender: 'male' }, { headers: { 'If-Match': 'W/"1"' } }).catch((raised) => raised);
  assert.equal(fault.outcome.issue[0].code, 'conflict');
});

test('patch with a test inside', async () => {
  const made = await hospital.createResource(patient());
  const changed = await hospital.patchResource('Patient', made.id, [
    { op: 'test', path: '/gender', value: 'female' },
    { op: 'replace', path: '/gender', value: 'male' },
  ]);
  assert.equal(changed.gender, 'male');
});

test('a transaction is a referral, which the agency finds and accepts', async () => {
  const answer = await hospital.executeBatch(submission());
  assert.equal(answer.type, 'transaction-response');
  const id = answer.entry[1].response.location.split('/')[1];
  const [parent] = await hospital.searchResources('Task', { focus: `ServiceRequest/${id}` });
  assert.equal(parent.status, 'requested');
  const [offer] = await agency.searchResources('Task', `part-of=Task/${parent.id}&status=requested`);
  const taken = await agency.patchResource('Task', offer.id, [{ op: 'replace', path: '/status', value: 'accepted' }]);
  assert.equal(taken.status, 'accepted');
  assert.equal((await hospital.readResource('Task', parent.id)).status, 'accepted');
  await refused(agency.readResource('ServiceRequest', id), 'not-found');
});

test('a batch answers each entry by itself', async () => {
  const made = await hospital.createResource(patient());
  const answer = await hospital.executeBatch({
    resourceType: 'Bundle',
    type: 'batch',
    entry: [
      { request: { method: 'GET', url: `Patient/${made.id}` } },
      { request: { method: 'GET', url: 'Patient/00000000-0000-4000-8000-000000000000' } },
      { request: { method: 'GET', url: 'Task?_count=1' } },
      { request: { method: 'POST', url: 'Patient' }, resource: patient() },
    ],
  });
  assert.deepEqual(answer.entry.map((entry) => entry.response.status.slice(0, 3)), ['200', '404', '200', '201']);
  assert.equal(answer.entry[1].response.outcome.resourceType, 'OperationOutcome');
});

test('searches: one, many, pages, includes, a total', async () => {
  for (let n = 0; n < 5; n += 1) await hospital.executeBatch(submission());
  const seen = new Set();
  for await (const page of hospital.searchResourcePages('Task', { _count: 2 })) for (const task of page) seen.add(task.id);
  assert.ok(seen.size >= 5);
  const bundle = await hospital.search('Task', { _include: 'Task:focus', _total: 'accurate', _count: 3 });
  assert.ok(bundle.entry.some((entry) => entry.search.mode === 'include' && entry.resource.resourceType === 'ServiceRequest'));
  assert.ok(bundle.total >= 5);
  assert.equal((await hospital.searchOne('Task', { status: 'requested', _sort: '-_lastUpdated' })).resourceType, 'Task');
  assert.deepEqual(Array.from(await hospital.searchResources('Task', { status: 'completed' })), []);
});

test('$validate says what is wrong, and where', async () => {
  const fine = await hospital.validateResource(patient());
  assert.equal(fine.resourceType, 'OperationOutcome');
  assert.ok(fine.issue.every((issue) => ['information', 'warning'].includes(issue.severity)));
});

test('everything about a patient', async () => {
  const answer = await hospital.executeBatch(submission());
  const id = answer.entry[0].response.location.split('/')[1];
  const all = await hospital.readPatientEverything(id);
  const types = new Set(all.entry.map((entry) => entry.resource.resourceType));
  for (const type of ['Patient', 'ServiceRequest', 'Task']) assert.ok(types.has(type), type);
});

test('what the service does not do is refused with an outcome', async () => {
  const made = await hospital.createResource(patient());
  await refused(hospital.deleteResource('Patient', made.id), 'not-supported');
  await refused(hospital.search('Medication', {}), 'not-supported');
  await refused(hospital.createResource({ resourceType: 'Medication' }), 'not-supported');
  await refused(hospital.createResource(request('Patient/00000000-0000-4000-8000-000000000000')), 'not-found');
});
