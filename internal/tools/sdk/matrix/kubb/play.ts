import { refused } from './axios-refused';
import {
  userInvitationsAccept,
  userInvitationsCancel,
  userInvitationsCount,
  userInvitationsCreate,
  userInvitationsDetailsRetrieve,
  userInvitationsList,
  userInvitationsPartialUpdate,
  type UserInvitationsCancel400,
  type UserInvitationsCreate400,
  type UserInvitationsDetailsRetrieve404,
} from './client';
import { given, play, type Client } from './steps';

function as(url: string, token: string): Client {
  const config = { baseURL: url, headers: { Authorization: `Token ${token}` } };
  const invite = (email: string) => userInvitationsCreate({ email, role: given('ROLE'), scope: given('SCOPE') }, config);
  const edit = (uuid: string) => userInvitationsPartialUpdate(uuid, { email: 'other@university.example' }, config);
  return {
    list: async () => (await userInvitationsList({ state: ['canceled', 'expired'] }, config)).data.map((each) => each.uuid),
    count: async () => String((await userInvitationsCount({ state: ['canceled', 'expired'] }, config)).headers['x-result-count']),
    create: async (email) => (await invite(email)).data,
    details: async (uuid) => (await userInvitationsDetailsRetrieve(uuid, config)).data.scope_name,
    accept: async (uuid) => (await userInvitationsAccept(uuid, config)).data.detail,
    createRefused: async (email) => (await refused<UserInvitationsCreate400>(400, invite(email)))['email'],
    cancelRefused: async (uuid) => refused<UserInvitationsCancel400>(400, userInvitationsCancel(uuid, config)),
    editRefused: async (uuid) => refused<UserInvitationsCancel400>(400, edit(uuid)),
    detailsNotFound: async (uuid) =>
      (await refused<UserInvitationsDetailsRetrieve404>(404, userInvitationsDetailsRetrieve(uuid, config))).detail,
  };
}

await play(as);
