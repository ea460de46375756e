// How people join by links, as a program that makes and takes up group invitations goes through it. It prints each step, for
// people to read. The server to try it against is named by INVITED_TEST_ variables, which internal/tools/sdk/withserver sets.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import {
  client,
  projectsRetrieve,
  userGroupInvitationsCancel,
  userGroupInvitationsCreate,
  userGroupInvitationsDestroy,
  userGroupInvitationsList,
  userGroupInvitationsRetrieve,
  userGroupInvitationsSubmitRequest,
  userPermissionRequestsApprove,
  userPermissionRequestsCancelRequest,
  userPermissionRequestsCount,
  userPermissionRequestsList,
  userPermissionRequestsReject,
  usersMeRetrieve,
  type GroupInvitation,
  type PermissionRequest,
  type SubmitRequestResponse,
} from 'waldur-js-client';

function given(name: string): string {
  const value = process.env[`INVITED_TEST_${name}`];
  assert.ok(value, `INVITED_TEST_${name} is not set`);
  return value;
}

function show(step: string, ...what: (string | null | undefined)[]): void {
  console.log(`${step}: ${what.join(' ')}`);
}

function as(token: string) {
  return { auth: `Token ${given(token)}`, throwOnError: true } as const;
}

const staff = as('STAFF_TOKEN');
const owner = as('OWNER_TOKEN');
const stranger = as('STRANGER_TOKEN');
const latecomer = as('LATECOMER_TOKEN');
const nobody = { throwOnError: true } as const;

before(() => client.setConfig({ baseUrl: given('URL') }));

// The organization in which the owner has a role, as the URL of a scope.
async function organization(): Promise<string> {
  const { data: me } = await usersMeRetrieve(owner);
  return `${given('URL')}/api/customers/${me.permissions?.find((each) => each.scope_type === 'customer')?.scope_uuid}/`;
}

async function ask(by: GroupInvitation): Promise<SubmitRequestResponse> {
  return (await userGroupInvitationsSubmitRequest({ ...stranger, path: { uuid: by.uuid } })).data;
}

async function mine(): Promise<PermissionRequest[]> {
  const { data: me } = await usersMeRetrieve(stranger);
  return (await userPermissionRequestsList({ ...stranger, query: { created_by: me.uuid, o: ['-created'] } })).data;
}

test('a link for an organization: one request rejected, one approved', async () => {
  const { data: link } = await userGroupInvitationsCreate({
    ...owner,
    body: { role: given('CUSTOMER_ROLE'), scope: await organization(), custom_text: 'For members of the institute.' },
  });
  show('The owner makes a link into', link.scope_name, 'as', link.role_name);
  assert.deepEqual([link.scope_type, link.is_active, link.is_public], ['customer', true, false]);
  const path = { uuid: link.uuid };

  const { data: offer } = await userGroupInvitationsRetrieve({ ...stranger, path });
  show('A stranger opens it and reads', `"${offer.custom_text}"`, 'from', offer.created_by_username);
  const taken = await ask(link);
  show('The stranger asks to join', taken.scope_name, 'and takes it back');
  const { data: back } = await userPermissionRequestsCancelRequest({ ...stranger, path: { uuid: taken.uuid } });
  assert.deepEqual(back, { uuid: taken.uuid, scope_name: link.scope_name, scope_uuid: link.scope_uuid });

  const first = await ask(link);
  show('The stranger asks again. Approved at once', String(first.auto_approved));
  assert.deepEqual([first.auto_approved, first.project_uuid, first.project_created], [false, null, null]);
  const again = await userGroupInvitationsSubmitRequest({ auth: stranger.auth, path });
  show('Asking twice is refused', String(again.error));
  assert.deepEqual(again.error, ['Permission request already exists for this scope.']);

  const query = { invitation: link.uuid, state: ['pending' as const] };
  const { data: waiting } = await userPermissionRequestsList({ ...owner, query });
  const counted = await userPermissionRequestsCount({ ...owner, query });
  show('The owner sees waiting', counted.response.headers.get('X-Result-Count'), 'of', waiting[0]?.created_by_email);
  assert.deepEqual(waiting.map((each) => each.uuid), [first.uuid]);
  assert.equal(counted.response.headers.get('X-Result-Count'), '1');

  await userPermissionRequestsReject({ ...owner, path: { uuid: first.uuid }, body: { comment: 'Which group are you in?' } });
  const rejected = (await mine())[0];
  show('The owner rejects it. The stranger reads', `"${rejected?.review_comment}"`, 'from', rejected?.reviewed_by_username);
  assert.deepEqual([rejected?.state, rejected?.review_comment], ['rejected', 'Which group are you in?']);
  const late = await userPermissionRequestsApprove({ auth: owner.auth, path: { uuid: first.uuid } });
  show('Approving it now is refused', String(late.response?.status), JSON.stringify(late.error));
  assert.equal(late.response?.status, 409);
  assert.deepEqual(late.error, { detail: 'Valid states for operation: pending.' });

  const second = await ask(link);
  await userPermissionRequestsApprove({ ...owner, path: { uuid: second.uuid } });
  const { data: me } = await usersMeRetrieve(stranger);
  const held = me.permissions?.map((each) => `${each.role_name} in ${each.scope_name}`) ?? [];
  show('The stranger asks once more, the owner approves. The stranger holds', ...held);
  assert.deepEqual((await mine()).map((each) => each.state), ['approved', 'rejected', 'canceled']);
  assert.deepEqual(held, [`${link.role_name} in ${link.scope_name}`]);

  await userGroupInvitationsCancel({ ...owner, path });
  await userGroupInvitationsDestroy({ ...owner, path });
  const gone = await userGroupInvitationsRetrieve({ auth: stranger.auth, path });
  show('The owner ends and deletes the link. Its status is', String(gone.response?.status));
  assert.equal(gone.response?.status, 404);
});

test('a public link that makes a project, joined twice', async () => {
  const { data: made } = await userGroupInvitationsCreate({
    ...staff,
    body: {
      role: given('ROLE'), scope: await organization(), is_public: true, auto_approve: true, auto_create_project: true,
      project_name_template: 'Workshop', user_email_patterns: ['.*@university\\.example'],
    },
  });
  const { data: listed } = await userGroupInvitationsList({ ...nobody, query: { is_public: true, is_active: true } });
  const link = listed.find((each) => each.uuid === made.uuid);
  assert.ok(link);
  show('Without a token one sees a public link into', link.customer_name, `(created by: ${link.created_by_username})`);
  assert.equal(link.created_by_username, null);

  const { data: first } = await userGroupInvitationsSubmitRequest({ ...stranger, path: { uuid: link.uuid } });
  const projectUuid = first.project_uuid;
  assert.ok(projectUuid);
  const { data: project } = await projectsRetrieve({ ...stranger, path: { uuid: projectUuid } });
  show('The stranger joins', project.name, `(approved at once: ${first.auto_approved}, project made: ${first.project_created})`);
  assert.deepEqual([first.auto_approved, first.project_created, project.name], [true, true, 'Workshop']);

  const { data: second } = await userGroupInvitationsSubmitRequest({ ...latecomer, path: { uuid: link.uuid } });
  show('Another joins', project.name, `(approved at once: ${second.auto_approved}, project made: ${second.project_created})`);
  assert.deepEqual([second.auto_approved, second.project_created, second.project_uuid], [true, false, projectUuid]);
  const { data: me } = await usersMeRetrieve(latecomer);
  assert.ok(me.permissions?.some((each) => each.scope_uuid === projectUuid && each.role_name === 'PROJECT.ADMIN'));
});
