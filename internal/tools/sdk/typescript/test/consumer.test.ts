// From create to accept with the npm package, as a program of its users would go through it. The server to try it
// against is named by INVITED_TEST_ variables, which internal/tools/sdk/withserver sets.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { before, test } from 'node:test';

import {
  client,
  userInvitationsAccept,
  userInvitationsApprove,
  userInvitationsCancel,
  userInvitationsCheck,
  userInvitationsCreate,
  userInvitationsDelete,
  userInvitationsDetailsRetrieve,
  userInvitationsList,
  userInvitationsRetrieve,
  type Detail,
  type ExecutionStateEnum,
  type FieldErrors,
  type Invitation,
  type InvitationRequest,
  type RuleErrors,
} from 'waldur-js-client';

function given(name: string): string {
  const value = process.env[`INVITED_TEST_${name}`];
  assert.ok(value, `INVITED_TEST_${name} is not set`);
  return value;
}

const owner = `Token ${given('OWNER_TOKEN')}`;
const invitee = `Bearer ${given('INVITEE_TOKEN')}`;
const email = given('INVITEE_EMAIL');

before(() => client.setConfig({ baseUrl: given('URL') }));

function draft(to: string): InvitationRequest {
  return { email: to, role: given('ROLE'), scope: given('SCOPE'), full_name: 'Ina Ingel' };
}

async function create(to: string): Promise<Invitation> {
  const { data, error, response } = await userInvitationsCreate({ auth: owner, body: draft(to) });
  assert.ok(data, JSON.stringify(error));
  assert.equal(response?.status, 201);
  assert.equal(response?.headers.get('Location'), data.url);
  return data;
}

// What an answer was refused with. The compiler holds each error to the shapes that the contract has for its operation.
function refused<E>(answer: { error?: E; response?: Response | undefined }, status: number): NonNullable<E> {
  assert.equal(answer.response?.status, status);
  assert.ok(answer.error);
  return answer.error;
}

function isRule(error: FieldErrors | RuleErrors | Detail): error is RuleErrors {
  return Array.isArray(error);
}

test('from create to accept', async () => {
  const made = await create(email);
  assert.equal(made.state, 'pending');
  assert.equal(made.scope_type, 'project');
  assert.equal(made.full_name, 'Ina Ingel');
  assert.equal(made.created_by_image, null);
  const states: ExecutionStateEnum[] = ['Scheduled', 'Processing', 'OK'];
  assert.ok(states.includes(made.execution_state), made.execution_state);

  const listed = await userInvitationsList({
    auth: owner,
    query: { email_exact: email, state: ['pending', 'expired'], o: ['-created'], page: 1, page_size: 5 },
  });
  assert.deepEqual(listed.data?.map((each) => each.uuid), [made.uuid]);
  assert.equal(listed.response?.headers.get('X-Result-Count'), '1');
  const none = await userInvitationsList({ auth: owner, query: { email_exact: email, state: ['canceled'] } });
  assert.deepEqual(none.data, []);

  const path = { uuid: made.uuid };
  assert.deepEqual((await userInvitationsCheck({ path })).data, { email });
  const seen = await userInvitationsDetailsRetrieve({ auth: invitee, path });
  assert.equal(seen.data?.scope_name, 'Apollo');
  assert.equal(seen.data?.role_name, 'PROJECT.ADMIN');
  const accepted = await userInvitationsAccept({ auth: invitee, path });
  assert.deepEqual(accepted.data, { detail: 'Invitation has been successfully accepted.' });
  const after = await userInvitationsRetrieve({ auth: owner, path, throwOnError: true });
  assert.equal(after.data.state, 'accepted');

  const again = refused(await userInvitationsAccept({ auth: invitee, path }), 404);
  assert.deepEqual(again, { detail: 'Not found.' });
  const canceled = refused(await userInvitationsCancel({ auth: owner, path }), 400);
  assert.ok(isRule(canceled));
  assert.equal(canceled[0], 'Only pending or planned invitations can be canceled.');
});

test('each shape of an error', async () => {
  const bad = refused(await userInvitationsCreate({ auth: owner, body: draft('no address') }), 400);
  assert.ok('email' in bad);
  assert.deepEqual(bad.email, ['Enter a valid email address.']);

  const unsigned = refused(await userInvitationsApprove({ body: { token: 'no token' } }), 400);
  assert.ok(isRule(unsigned));
  assert.deepEqual(unsigned, ['Invalid signature.']);
  const empty = refused(await userInvitationsApprove({ body: { token: '' } }), 400);
  assert.ok('token' in empty);

  const unknown = await userInvitationsList({ auth: 'Token nobody' });
  assert.deepEqual(refused(unknown, 401), { detail: 'Invalid token.' });
  assert.equal(unknown.response?.headers.get('WWW-Authenticate'), 'Token');
  const page = refused(await userInvitationsList({ auth: owner, query: { page: 1000 } }), 404);
  assert.deepEqual(page, { detail: 'Invalid page.' });
  const { uuid } = await create('somebody@university.example');
  const kept = refused(await userInvitationsDelete({ auth: owner, path: { uuid } }), 403);
  assert.deepEqual(kept, { detail: 'You do not have permission to perform this action.' });
  await assert.rejects(userInvitationsRetrieve({ auth: owner, path: { uuid: 'none' }, throwOnError: true }), {
    detail: 'Not found.',
  });
});

test('what the types refuse', () => {
  // Each line is an error to the compiler; that it is no error would be one.
  // @ts-expect-error a state that there is none of
  void ({ state: 'lost' } satisfies Partial<Invitation>);
  // @ts-expect-error an invitation needs an address
  void ({ role: '', scope: '' } satisfies InvitationRequest);
  // @ts-expect-error a filter that there is none of
  void (() => userInvitationsList({ query: { owner: 'olivia' } }));
});

test("the version is the contract's", async () => {
  const manifest: { version: string } = JSON.parse(
    await readFile(new URL('../node_modules/waldur-js-client/package.json', import.meta.url), 'utf8'),
  );
  assert.equal(manifest.version, given('VERSION'));
});
