import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import newman, { type Response } from 'newman';

import { clientOf, type Answer, type Request } from './collection';
import { play, type Client } from './steps';

// What is used of a collection in Postman's format 2.1.
interface Parameter {
  key: string;
  value: string;
  disabled?: boolean;
}
interface Item {
  item?: Item[];
  request?: { method: string; url: { path: string[]; query: Parameter[]; variable: Parameter[] }; body?: { raw?: string } };
}

const collection: Item = JSON.parse(readFileSync(new URL('collection.json', import.meta.url), 'utf8'));

function requests(item: Item): Item[] {
  return item.item ? item.item.flatMap(requests) : [item];
}

// changed returns a request of the collection with its changes.
function changed({ method, path, query, uuid, body }: Request): Item {
  const found = requests(collection).find(({ request }) => request?.method === method && `/${request.url.path.join('/')}` === path);
  assert.ok(found, `the collection has no ${method} ${path}`);
  const item = structuredClone(found);
  const request = item.request!;
  for (const [key, values] of Object.entries(query ?? {})) {
    assert.ok(request.url.query.some((each) => each.key === key), `${method} ${path} has no ${key}`);
    request.url.query = [...request.url.query.filter((each) => each.key !== key), ...values.map((value) => ({ key, value }))];
  }
  if (uuid) request.url.variable = request.url.variable.map((each) => ({ ...each, value: uuid }));
  if (body) request.body!.raw = JSON.stringify(body);
  return item;
}

function answer(response: Response): Answer {
  const headers = Object.entries(response.headers.toObject()).map(([name, value]) => [name.toLowerCase(), value]);
  const text = response.text();
  return { status: response.code, headers: Object.fromEntries(headers), body: text ? JSON.parse(text) : undefined };
}

function as(url: string, token: string): Client {
  const variables = [
    { key: 'baseUrl', value: url },
    { key: 'apiKey', value: `Token ${token}` },
  ];
  return clientOf((wanted) => {
    const some = { ...collection, item: wanted.map(changed) };
    return new Promise<Answer[]>((resolve, reject) => {
      newman.run({ collection: some, envVar: variables }, (error, summary) => {
        const { executions } = summary.run;
        const failed = executions.find(({ response }) => !response);
        if (error || failed) return reject(error ?? failed?.requestError ?? new Error('newman has no response'));
        resolve(executions.map(({ response }) => answer(response!)));
      });
    });
  });
}

await play(as);
