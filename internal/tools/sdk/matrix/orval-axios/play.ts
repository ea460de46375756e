import axios from 'axios';

import { refused } from './axios-refused';
import { getInvited, type Detail, type FieldErrors, type RuleErrors } from './client';
import { given, play, type Client } from './steps';

function as(url: string, token: string): Client {
  const api = getInvited(axios.create({ baseURL: url, headers: { Authorization: `Token ${token}` } }));
  const invite = (email: string) => api.userInvitationsCreate({ email, role: given('ROLE'), scope: given('SCOPE') });
  return {
    list: async () => (await api.userInvitationsList({ state: ['canceled', 'expired'] })).data.map((each) => each.uuid),
    count: async () => (await api.userInvitationsCount({ state: ['canceled', 'expired'] })).headers['x-result-count'],
    create: async (email) => (await invite(email)).data,
    details: async (uuid) => (await api.userInvitationsDetailsRetrieve(uuid)).data.scope_name,
    accept: async (uuid) => (await api.userInvitationsAccept(uuid)).data.detail,
    createRefused: async (email) => (await refused<FieldErrors>(400, invite(email)))['email'],
    cancelRefused: async (uuid) => refused<RuleErrors>(400, api.userInvitationsCancel(uuid)),
    editRefused: async (uuid) =>
      refused<RuleErrors>(400, api.userInvitationsPartialUpdate(uuid, { email: 'other@university.example' })),
    detailsNotFound: async (uuid) => (await refused<Detail>(404, api.userInvitationsDetailsRetrieve(uuid))).detail,
  };
}

await play(as);
