// What a ward sends, made anew for each test; all people are invented.
import { randomUUID } from 'node:crypto';

export const url = process.env.FHIR_URL;
export const tokens = JSON.parse(process.env.TOKENS);
export const NEED = 'urn:yuanshe:need';

export const patient = (more = {}) => ({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:his-a:patient', value: `ZY-${randomUUID()}` }],
  name: [{ text: '林示例' }],
  gender: 'female',
  birthDate: '1952-03-15',
  address: [{ use: 'home', district: '520502001' }],
  ...more,
});

export const request = (subject, more = {}) => ({
  resourceType: 'ServiceRequest',
  status: 'active',
  intent: 'order',
  identifier: [{ system: 'urn:his-a:order', value: randomUUID() }],
  category: [{ coding: [{ system: NEED, code: 'N05' }] }],
  subject: { reference: subject },
  ...more,
});

export const submission = () => {
  const person = `urn:uuid:${randomUUID()}`;
  return {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [
      { fullUrl: person, resource: patient(), request: { method: 'POST', url: 'Patient' } },
      { fullUrl: `urn:uuid:${randomUUID()}`, resource: request(person), request: { method: 'POST', url: 'ServiceRequest' } },
    ],
  };
};
