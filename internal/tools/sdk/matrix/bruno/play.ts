import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { parse, stringify } from 'yaml';

import { clientOf, type Answer, type Request as Wanted } from './collection';
import { play, type Client } from './steps';

// What is used of a request in Bruno's format.
interface Parameter {
  name: string;
  value: string;
  type: 'query' | 'path';
  disabled?: boolean;
}
interface Request {
  http?: { method: string; url: string; params?: Parameter[]; body?: { type: 'json'; data: string } };
}

const here = fileURLToPath(new URL('.', import.meta.url));
const collection = join(here, 'collection');
const bru = join(here, '../node_modules/.bin/bru');

const requests = readdirSync(collection, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.yml'))
  .map((file) => ({ file, request: parse(readFileSync(join(collection, file), 'utf8')) as Request }));

// changed returns the file of a request, and the request with its changes.
function changed({ method, path, query, uuid, body }: Wanted): { file: string; request: Request } {
  const found = requests.find(({ request }) => request.http?.method === method && request.http.url === `{{baseUrl}}${path}`);
  assert.ok(found, `the collection has no ${method} ${path}`);
  const { file, request } = structuredClone(found);
  const http = request.http!;
  for (const [name, values] of Object.entries(query ?? {})) {
    const params = http.params ?? [];
    assert.ok(params.some((each) => each.name === name), `${method} ${path} has no ${name}`);
    const other = params.filter((each) => each.name !== name);
    http.params = [...other, ...values.map((value): Parameter => ({ name, value, type: 'query' }))];
    // The command sends the query of the URL. The application keeps both the same.
    const sent = http.params.filter((each) => each.type === 'query' && !each.disabled);
    http.url += `?${sent.map((each) => `${each.name}=${encodeURIComponent(each.value)}`).join('&')}`;
  }
  if (uuid) for (const each of http.params ?? []) if (each.type === 'path') each.value = uuid;
  if (body) http.body = { type: 'json', data: JSON.stringify(body) };
  return { file, request };
}

function as(url: string, token: string): Client {
  return clientOf(async (wanted): Promise<Answer[]> => {
    const folder = mkdtempSync(join(here, 'run-'));
    try {
      cpSync(collection, folder, { recursive: true });
      const sent = wanted.map(changed);
      for (const { file, request } of sent) writeFileSync(join(folder, file), stringify(request));
      const report = join(folder, 'report.json');
      const variables = ['--env-var', `baseUrl=${url}`, '--env-var', `apiKey=Token ${token}`];
      execFileSync(bru, ['run', ...sent.map(({ file }) => file), ...variables, '--reporter-json', report], { cwd: folder, stdio: 'pipe' });
      const { results } = JSON.parse(readFileSync(report, 'utf8'))[0];
      return results.map(({ response }: any) => ({ status: response.status, headers: response.headers, body: response.data }));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

await play(as);
