import { setBaseUrl } from './base-url';
import {
  userInvitationsAccept,
  userInvitationsCancel,
  userInvitationsCount,
  userInvitationsCreate,
  userInvitationsDetailsRetrieve,
  userInvitationsList,
  userInvitationsPartialUpdate,
} from './client';
import { given, play, type Client } from './steps';

function as(url: string, token: string): Client {
  setBaseUrl(url);
  const auth = { headers: { Authorization: `Token ${token}` } };
  const invite = (email: string) => userInvitationsCreate({ email, role: given('ROLE'), scope: given('SCOPE') }, auth);
  return {
    async list() {
      const answer = await userInvitationsList({ state: ['canceled', 'expired'] }, auth);
      if (answer.status !== 200) throw answer;
      return answer.data.map((each) => each.uuid);
    },
    async count() {
      const answer = await userInvitationsCount({ state: ['canceled', 'expired'] }, auth);
      if (answer.status !== 200) throw answer;
      return answer.headers.get('X-Result-Count');
    },
    async create(email) {
      const answer = await invite(email);
      if (answer.status !== 201) throw answer;
      return answer.data;
    },
    async details(uuid) {
      const answer = await userInvitationsDetailsRetrieve(uuid, auth);
      if (answer.status !== 200) throw answer;
      return answer.data.scope_name;
    },
    async accept(uuid) {
      const answer = await userInvitationsAccept(uuid, auth);
      if (answer.status !== 200) throw answer;
      return answer.data.detail;
    },
    async createRefused(email) {
      const answer = await invite(email);
      if (answer.status !== 400) throw answer;
      return answer.data['email'];
    },
    async cancelRefused(uuid) {
      const answer = await userInvitationsCancel(uuid, auth);
      if (answer.status !== 400) throw answer;
      return answer.data;
    },
    async editRefused(uuid) {
      const answer = await userInvitationsPartialUpdate(uuid, { email: 'other@university.example' }, auth);
      if (answer.status !== 400 || !Array.isArray(answer.data)) throw answer;
      return answer.data;
    },
    async detailsNotFound(uuid) {
      const answer = await userInvitationsDetailsRetrieve(uuid, auth);
      if (answer.status !== 404) throw answer;
      return answer.data.detail;
    },
  };
}

await play(as);
