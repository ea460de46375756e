// Checks that the mock answers each operation with the contract's own example. The arguments are the mock's address and
// the contract as JSON without references.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

const [address, path] = process.argv.slice(2);
const contract = JSON.parse(await readFile(path, 'utf8'));

/** The example of a media type, or the first of several. */
function exampleOf(media) {
  return media.example ?? Object.values(media.examples)[0].value;
}

for (let tries = 0; ; tries++) {
  try {
    await fetch(address);
    break;
  } catch (error) {
    if (tries === 450) throw error;
    await pause(200);
  }
}

let answered = 0;
for (const [template, item] of Object.entries(contract.paths)) {
  for (const method of ['get', 'post', 'put', 'patch', 'delete']) {
    const operation = item[method];
    if (!operation) continue;
    const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])];
    const url = address + template.replace(/\{(\w+)\}/g, (_, name) => parameters.find((each) => each.name === name).example);
    const init = { method: method.toUpperCase(), headers: { Authorization: 'Token any' }, redirect: 'manual' };
    if (operation.requestBody) {
      init.headers['Content-Type'] = 'application/json';
      init.body = JSON.stringify(exampleOf(operation.requestBody.content['application/json']));
    }
    const [status, response] = Object.entries(operation.responses).find(([each]) => /^[23]/.test(each));
    const answer = await fetch(url, init);
    const text = await answer.text();
    assert.equal(answer.status, Number(status), `${operation.operationId}: ${text}`);
    const [type, media] = Object.entries(response.content ?? {})[0] ?? [];
    const body = type === 'application/json' ? JSON.parse(text) : text || undefined;
    assert.deepEqual(body, media && exampleOf(media), operation.operationId);
    answered++;
  }
}
assert.ok(answered > 0, 'the contract has no operations');
console.log(`The mock answers ${answered} of ${answered} operations with their examples`);
