import com.google.gson.reflect.TypeToken;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.JSON;
import org.openapitools.client.api.UserInvitationsApi;
import org.openapitools.client.model.Detail;
import org.openapitools.client.model.Invitation;
import org.openapitools.client.model.InvitationListItem;
import org.openapitools.client.model.InvitationRequest;
import org.openapitools.client.model.InvitationState;
import org.openapitools.client.model.PatchedInvitationUpdateRequest;

/** Plays the steps of the matrix with the client that OpenAPI Generator makes for OkHttp and Gson. */
final class Play {
  private static final List<InvitationState> ENDED =
      List.of(InvitationState.InvitationStateCanceled, InvitationState.InvitationStateExpired);

  private static UUID uuid = Steps.UNKNOWN;

  private Play() {}

  public static void main(String[] args) {
    UserInvitationsApi owner = api("URL", "OWNER_TOKEN");
    UserInvitationsApi invitee = api("URL", "INVITEE_TOKEN");

    Steps.step("list", () -> listEnded(owner));
    Steps.step("count", () -> {
      var headers = owner.userInvitationsCount().state(ENDED).executeWithHttpInfo().getHeaders();
      Steps.same(header(headers, "X-Result-Count"), List.of("1"));
    });
    Steps.step("create", () -> {
      Invitation made = create(owner, Steps.variable("INVITEE_EMAIL"));
      uuid = made.getUuid();
      Steps.same(made.getState(), InvitationState.InvitationStatePending);
    });
    Steps.step("details", () ->
        Steps.same(invitee.userInvitationsDetailsRetrieve(uuid).execute().getEmail(), Steps.variable("INVITEE_EMAIL")));
    Steps.step("accept", () ->
        Steps.same(invitee.userInvitationsAccept(uuid).execute().getDetail(), "Invitation has been successfully accepted."));
    Steps.step("field_error", () ->
        Steps.same(refused(() -> create(owner, "nonsense"), new TypeToken<Map<String, List<String>>>() {}),
            Map.of("email", List.of("Enter a valid email address."))));
    Steps.step("rule_error", () -> {
      var messages = new TypeToken<List<String>>() {};
      Steps.same(refused(() -> owner.userInvitationsCancel(uuid).execute(), messages),
          List.of("Only pending or planned invitations can be canceled."));
      var edit = new PatchedInvitationUpdateRequest().email("ida@university.example");
      Steps.same(refused(() -> owner.userInvitationsPartialUpdate(uuid, edit).execute(), messages),
          List.of("Only pending invitations can be edited."));
    });
    Steps.step("not_found", () -> {
      Detail body = refused(() -> owner.userInvitationsDetailsRetrieve(Steps.UNKNOWN).execute(), TypeToken.get(Detail.class));
      Steps.same(body.getDetail(), "Not found.");
    });
    Steps.step("unknown_field", () -> {
      UserInvitationsApi newer = api("NEWER_URL", "OWNER_TOKEN");
      listEnded(newer);
      Invitation invitation = newer.userInvitationsRetrieve(UUID.fromString(Steps.variable("PENDING"))).execute();
      Steps.same(invitation.getState(), InvitationState.InvitationStatePending);
    });
  }

  private static UserInvitationsApi api(String url, String token) {
    ApiClient client = new ApiClient().setBasePath(Steps.variable(url));
    client.setApiKeyPrefix("Token");
    client.setApiKey(Steps.variable(token));
    return new UserInvitationsApi(client);
  }

  private static void listEnded(UserInvitationsApi api) throws ApiException {
    List<InvitationListItem> rows = api.userInvitationsList().state(ENDED).execute();
    Steps.onlyCanceled(rows.stream().map(InvitationListItem::getUuid).toList());
  }

  private static Invitation create(UserInvitationsApi api, String email) throws ApiException {
    return api.userInvitationsCreate(new InvitationRequest().email(email).role(UUID.fromString(Steps.variable("ROLE")))
        .scope(Steps.variable("SCOPE"))).execute();
  }

  private static List<String> header(Map<String, List<String>> headers, String name) {
    return headers.entrySet().stream().filter(e -> e.getKey().equalsIgnoreCase(name)).findFirst().orElseThrow().getValue();
  }

  /** Returns the body of the error that an attempt ends with. The client leaves decoding it to its user. */
  private static <T> T refused(Steps.Attempt attempt, TypeToken<T> type) throws Exception {
    try {
      attempt.run();
    } catch (ApiException e) {
      return JSON.deserialize(e.getResponseBody(), type.getType());
    }
    throw new IllegalStateException("the request was not refused");
  }
}
