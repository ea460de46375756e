// The steps with a collection of requests that a tool made for people to click. send sends one of its requests.

import assert from 'node:assert/strict';

import { given, type Client } from './steps';

export interface Request {
  method: string;
  path: string;
  // What a person changes before the click: the values of a parameter of the query, the uuid in the path, and the body.
  query?: Record<string, string[]>;
  uuid?: string;
  body?: Record<string, string>;
}

export interface Answer {
  status: number;
  headers: Record<string, string>; // the names are in lower case
  body: any; // the collection has no types
}

// Sends the requests of the collection that have these methods and paths, one after the other.
export type Send = (requests: Request[]) => Promise<Answer[]>;

const invitations = '/api/user-invitations/';
// The lists that an API token may read.
const lists = [invitations, ...['customers', 'projects', 'roles', 'user-permissions'].map((name) => `/api/${name}/`)];

export function clientOf(send: Send): Client {
  const sent = async (status: number, ...requests: Request[]): Promise<Answer> => {
    const answers = await send(requests);
    assert.equal(answers.length, requests.length, `answers of ${requests.length} requests: ${answers.length}`);
    for (const answer of answers) assert.equal(answer.status, status, JSON.stringify(answer));
    return answers[0]!;
  };
  const query = { state: ['canceled', 'expired'] };
  const create = (email: string): Request => ({
    method: 'POST',
    path: invitations,
    body: { email, role: given('ROLE'), scope: given('SCOPE') },
  });
  const one = (method: string, action: string, uuid: string): Request => ({ method, path: `${invitations}:uuid/${action}`, uuid });
  const edit = (uuid: string): Request => ({ ...one('PATCH', '', uuid), body: { email: 'other@university.example' } });
  return {
    async list() {
      await sent(200, ...lists.map((path) => ({ method: 'GET', path }))); // the first click
      const { body } = await sent(200, { method: 'GET', path: invitations, query });
      return body.map((each: any) => each.uuid);
    },
    count: async () => (await sent(200, { method: 'HEAD', path: invitations, query })).headers['x-result-count'],
    create: async (email) => (await sent(201, create(email))).body,
    details: async (uuid) => (await sent(200, one('GET', 'details/', uuid))).body.scope_name,
    accept: async (uuid) => (await sent(200, one('POST', 'accept/', uuid))).body.detail,
    createRefused: async (email) => (await sent(400, create(email))).body.email,
    cancelRefused: async (uuid) => (await sent(400, one('POST', 'cancel/', uuid))).body,
    editRefused: async (uuid) => (await sent(400, edit(uuid))).body,
    detailsNotFound: async (uuid) => (await sent(404, one('GET', 'details/', uuid))).body.detail,
  };
}
