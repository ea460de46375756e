import { isAxiosError } from "axios";
import { Configuration, InvitationState, UserInvitationsApi } from "./client/index.js";
import { onlyCanceled, rejected, same, step, unknownUUID, variable } from "./steps.js";

const api = (token: string, url = variable("URL")): UserInvitationsApi =>
  new UserInvitationsApi(new Configuration({ basePath: url, apiKey: `Token ${variable(token)}` }));

/** Returns the body of the response that a promise is rejected with. */
const body = async (promise: Promise<unknown>): Promise<unknown> => {
  const error = await rejected(promise);
  if (isAxiosError(error) && error.response) return error.response.data;
  throw error;
};

const [owner, invitee] = [api("OWNER_TOKEN"), api("INVITEE_TOKEN")];
const state = [InvitationState.InvitationStateCanceled, InvitationState.InvitationStateExpired];
const invitationRequest = { email: variable("INVITEE_EMAIL"), role: variable("ROLE"), scope: variable("SCOPE") };
let uuid = "";

await step("list", async () => onlyCanceled((await owner.userInvitationsList({ state })).data));
await step("count", async () => {
  const { headers } = await owner.userInvitationsCount({ state });
  same(headers["x-result-count"], "1");
});
await step("create", async () => {
  const { data } = await owner.userInvitationsCreate({ invitationRequest });
  uuid = data.uuid;
  same([typeof uuid, data.state], ["string", InvitationState.InvitationStatePending]);
});
await step("details", async () => {
  const { data } = await invitee.userInvitationsDetailsRetrieve({ uuid });
  same(data.email, invitationRequest.email);
});
await step("accept", async () => {
  const { data } = await invitee.userInvitationsAccept({ uuid });
  same(data.detail, "Invitation has been successfully accepted.");
});
await step("field_error", async () => {
  const refused = owner.userInvitationsCreate({ invitationRequest: { ...invitationRequest, email: "nonsense" } });
  same(await body(refused), { email: ["Enter a valid email address."] });
});
await step("rule_error", async () => {
  const canceling = owner.userInvitationsCancel({ uuid });
  same(await body(canceling), ["Only pending or planned invitations can be canceled."]);
  const editing = owner.userInvitationsPartialUpdate({ uuid, patchedInvitationUpdateRequest: { email: "ida@university.example" } });
  same(await body(editing), ["Only pending invitations can be edited."]);
});
await step("not_found", async () => {
  same(await body(owner.userInvitationsDetailsRetrieve({ uuid: unknownUUID })), { detail: "Not found." });
});
await step("unknown_field", async () => {
  const newer = api("OWNER_TOKEN", variable("NEWER_URL"));
  onlyCanceled((await newer.userInvitationsList({ state })).data);
  const { data } = await newer.userInvitationsRetrieve({ uuid: variable("PENDING") });
  same(data.state, InvitationState.InvitationStatePending);
});
