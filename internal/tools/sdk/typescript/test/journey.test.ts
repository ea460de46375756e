// What a front end does, from who is signed in to the role that is held, in the words of its types. It prints what it
// sees on the way, for people to read. The server to try it against is named by INVITED_TEST_ variables.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import {
  client,
  projectsCount,
  projectsList,
  rolesList,
  userInvitationsAccept,
  userInvitationsCheckDuplicates,
  userInvitationsCreate,
  userInvitationsEventsList,
  userInvitationsPartialUpdate,
  userPermissionsList,
  usersMeRetrieve,
  type InvitationEventType,
  type PermissionListItem,
  type ProjectListItem,
  type RoleDetailsListItem,
} from 'waldur-js-client';

function given(name: string): string {
  const value = process.env[`INVITED_TEST_${name}`];
  assert.ok(value, `INVITED_TEST_${name} is not set`);
  return value;
}

function show(step: string, ...what: (string | undefined)[]): void {
  console.log(`${step}: ${what.join(' ')}`);
}

const owner = { auth: `Token ${given('OWNER_TOKEN')}`, throwOnError: true } as const;
const invitee = { auth: `Token ${given('OTHER_TOKEN')}`, throwOnError: true } as const;
const email = given('OTHER_EMAIL');
const misspelt = email.replace('university', 'univresity');

before(() => client.setConfig({ baseUrl: given('URL') }));

test('who am I, what may I offer, to whom, and what came of it', async () => {
  const { data: me } = await usersMeRetrieve(owner);
  show('I am', me.username, 'and hold', me.permissions?.map((each) => `${each.role_name} in ${each.scope_name}`).join(', '));
  assert.deepEqual(me.permissions?.map((each) => each.role_name), ['CUSTOMER.OWNER']);

  const projects = await projectsList({ ...owner, query: { query: 'apo', o: ['name'], field: ['name', 'url', 'uuid'], page_size: 5 } });
  const project: ProjectListItem | undefined = projects.data[0];
  assert.ok(project?.url);
  show('I see', projects.data.map((each) => each.name).join(', '));
  assert.deepEqual(Object.keys(project).sort(), ['name', 'url', 'uuid']);
  assert.equal(new URL(project.url).pathname, new URL(given('SCOPE')).pathname);
  const counted = await projectsCount({ ...owner, query: { query: 'apo' } });
  assert.equal(counted.response.headers.get('X-Result-Count'), String(projects.data.length));

  const roles = await rolesList({ ...owner, query: { content_type: ['project'], is_active: true } });
  const role: RoleDetailsListItem | undefined = roles.data.find((each) => each.name === 'PROJECT.ADMIN');
  assert.ok(role?.uuid);
  show('I can offer', roles.data.map((each) => each.name).join(', '));

  const body = { scope: project.url, invitations: [{ email: misspelt, role: role.uuid }, { email, role: role.uuid }] };
  const before = await userInvitationsCheckDuplicates({ ...owner, body });
  show('Invited already', String(before.data.duplicates.length));
  assert.deepEqual(before.data.duplicates, []);

  const { data: made } = await userInvitationsCreate({ ...owner, body: { email: misspelt, role: role.uuid, scope: project.url } });
  show('Invited', made.email, 'as', made.role_name, 'into', `${made.scope_name}:`, made.state);
  const after = await userInvitationsCheckDuplicates({ ...owner, body });
  assert.deepEqual(after.data.duplicates.map((each) => each.email), [misspelt]);
  show('Invited by now', after.data.duplicates.map((each) => each.email).join(', '));

  const { data: edited } = await userInvitationsPartialUpdate({ ...owner, path: { uuid: made.uuid }, body: { email } });
  show('Corrected to', edited.email);
  assert.equal(edited.email, email);

  const { uuid } = made;
  const { data: accepted } = await userInvitationsAccept({ ...invitee, path: { uuid } });
  show('The invitee accepts', accepted.detail);

  const { data: events } = await userInvitationsEventsList({ ...owner, path: { uuid }, query: { page_size: 100 } });
  for (const each of [...events].reverse()) {
    show('Event', each.event_type, 'by', each.user_username || 'the server', each.from_state ?? '-', 'to', each.to_state ?? '-');
  }
  const types = events.map((each) => each.event_type);
  const expected: InvitationEventType[] = ['created', 'updated', 'accepted'];
  for (const each of expected) assert.ok(types.includes(each), `${each} in ${types.join()}`);

  const held = await userPermissionsList({ ...owner, query: { scope_type: 'project', user: (await usersMeRetrieve(invitee)).data.uuid ?? '' } });
  const permission: PermissionListItem | undefined = held.data[0];
  show('Now', permission?.user_username, 'holds', permission?.role_name, 'in', permission?.scope_name, 'from', permission?.created_by_username);
  assert.deepEqual(held.data.map((each) => [each.role_name, each.user_email, each.scope_name]), [['PROJECT.ADMIN', email, 'Apollo']]);
  const mine = await userPermissionsList(invitee);
  assert.deepEqual(mine.data, held.data);
});
