// The steps that each generated client takes against the server. A tool's play.ts gives them its client as a Client, and reads
// every value through the client's types.

import assert from 'node:assert/strict';

export interface Client {
  // The uuids of the canceled and the expired invitations.
  list(): Promise<(string | undefined)[]>;
  // The header X-Result-Count of the count of the canceled and the expired invitations.
  count(): Promise<string | null | undefined>;
  create(email: string): Promise<{ uuid: string; state: string }>;
  // The name of the scope.
  details(uuid: string): Promise<string | undefined>;
  // The message that it worked.
  accept(uuid: string): Promise<string>;
  // What the server refuses with 400: the messages under `email`, and the messages of a rule.
  createRefused(email: string): Promise<string[] | undefined>;
  cancelRefused(uuid: string): Promise<string[]>;
  editRefused(uuid: string): Promise<string[]>;
  // What the server answers with 404: `detail`.
  detailsNotFound(uuid: string): Promise<string>;
}

export function given(name: string): string {
  const value = process.env[`INVITED_TEST_${name}`];
  assert.ok(value, `INVITED_TEST_${name} is not set`);
  return value;
}

// must returns a value of an answer, which has to be there.
export function must<T>(value: T, answer: unknown): NonNullable<T> {
  assert.ok(value !== undefined && value !== null, `the answer is ${JSON.stringify(answer)}`);
  return value;
}

// The first argument makes a client of the server with this URL for the owner of this token.
export async function play(as: (url: string, token: string) => Client): Promise<void> {
  const owner = as(given('URL'), given('OWNER_TOKEN'));
  const invitee = as(given('URL'), given('INVITEE_TOKEN'));
  let uuid = '';

  await step('list', async () => {
    const uuids = await owner.list();
    assert.ok(uuids.includes(given('CANCELED')), 'the canceled invitation is missing');
    assert.ok(!uuids.includes(given('PENDING')), 'the filter is lost: a pending invitation is there');
  });
  await step('count', async () => assert.equal(String(await owner.count()), '1'));
  await step('create', async () => {
    const made = await owner.create(given('INVITEE_EMAIL'));
    assert.match(made.uuid, /^[0-9a-f-]{36}$/);
    assert.equal(made.state, 'pending');
    uuid = made.uuid;
  });
  await step('details', async () => assert.ok(await invitee.details(uuid)));
  await step('accept', async () => assert.equal(await invitee.accept(uuid), 'Invitation has been successfully accepted.'));
  await step('field_error', async () => assert.ok((await owner.createRefused('nonsense'))?.[0]?.includes('valid email')));
  await step('rule_error', async () => {
    assert.deepEqual(await owner.cancelRefused(uuid), ['Only pending or planned invitations can be canceled.']);
    assert.deepEqual(await owner.editRefused(uuid), ['Only pending invitations can be edited.']);
  });
  await step('not_found', async () => assert.equal(await invitee.detailsNotFound(crypto.randomUUID()), 'Not found.'));
  await step('unknown_field', async () => {
    const newer = as(given('NEWER_URL'), given('OWNER_TOKEN'));
    assert.ok((await newer.list()).includes(given('CANCELED')), 'the canceled invitation is missing');
    assert.ok(await newer.details(given('CANCELED')));
  });
}

async function step(name: string, take: () => Promise<void>): Promise<void> {
  try {
    await take();
    console.log(`step ${name} ok`);
  } catch (error) {
    console.log(`step ${name} failed: ${(error instanceof Error ? error.message : JSON.stringify(error)).replaceAll(/\s+/g, ' ')}`);
  }
}
