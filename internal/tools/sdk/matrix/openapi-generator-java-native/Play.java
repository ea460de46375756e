import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.UserInvitationsApi;
import org.openapitools.client.api.UserInvitationsApi.APIUserInvitationsAcceptRequest;
import org.openapitools.client.api.UserInvitationsApi.APIUserInvitationsCancelRequest;
import org.openapitools.client.api.UserInvitationsApi.APIUserInvitationsCountRequest;
import org.openapitools.client.api.UserInvitationsApi.APIUserInvitationsCreateRequest;
import org.openapitools.client.api.UserInvitationsApi.APIUserInvitationsDetailsRetrieveRequest;
import org.openapitools.client.api.UserInvitationsApi.APIUserInvitationsListRequest;
import org.openapitools.client.api.UserInvitationsApi.APIUserInvitationsPartialUpdateRequest;
import org.openapitools.client.api.UserInvitationsApi.APIUserInvitationsRetrieveRequest;
import org.openapitools.client.model.Detail;
import org.openapitools.client.model.Invitation;
import org.openapitools.client.model.InvitationListItem;
import org.openapitools.client.model.InvitationRequest;
import org.openapitools.client.model.InvitationState;
import org.openapitools.client.model.PatchedInvitationUpdateRequest;

/** Plays the steps of the matrix with the client that OpenAPI Generator makes for Java's own HTTP client. */
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
      var response = owner.userInvitationsCountWithHttpInfo(
          APIUserInvitationsCountRequest.newBuilder().state(ENDED).build());
      Steps.same(header(response.getHeaders(), "X-Result-Count"), List.of("1"));
    });
    Steps.step("create", () -> {
      Invitation made = create(owner, Steps.variable("INVITEE_EMAIL"));
      uuid = made.getUuid();
      Steps.same(made.getState(), InvitationState.InvitationStatePending);
    });
    Steps.step("details", () -> {
      var request = APIUserInvitationsDetailsRetrieveRequest.newBuilder().uuid(uuid).build();
      Steps.same(invitee.userInvitationsDetailsRetrieve(request).getEmail(), Steps.variable("INVITEE_EMAIL"));
    });
    Steps.step("accept", () -> {
      var request = APIUserInvitationsAcceptRequest.newBuilder().uuid(uuid).build();
      Steps.same(invitee.userInvitationsAccept(request).getDetail(), "Invitation has been successfully accepted.");
    });
    Steps.step("field_error", () ->
        Steps.same(refused(() -> create(owner, "nonsense"), new TypeReference<Map<String, List<String>>>() {}),
            Map.of("email", List.of("Enter a valid email address."))));
    Steps.step("rule_error", () -> {
      var messages = new TypeReference<List<String>>() {};
      var cancel = APIUserInvitationsCancelRequest.newBuilder().uuid(uuid).build();
      Steps.same(refused(() -> owner.userInvitationsCancel(cancel), messages),
          List.of("Only pending or planned invitations can be canceled."));
      var edit = APIUserInvitationsPartialUpdateRequest.newBuilder().uuid(uuid)
          .patchedInvitationUpdateRequest(new PatchedInvitationUpdateRequest().email("ida@university.example")).build();
      Steps.same(refused(() -> owner.userInvitationsPartialUpdate(edit), messages),
          List.of("Only pending invitations can be edited."));
    });
    Steps.step("not_found", () -> {
      var request = APIUserInvitationsDetailsRetrieveRequest.newBuilder().uuid(Steps.UNKNOWN).build();
      Detail body = refused(() -> owner.userInvitationsDetailsRetrieve(request), new TypeReference<Detail>() {});
      Steps.same(body.getDetail(), "Not found.");
    });
    Steps.step("unknown_field", () -> {
      UserInvitationsApi newer = api("NEWER_URL", "OWNER_TOKEN");
      listEnded(newer);
      var request = APIUserInvitationsRetrieveRequest.newBuilder().uuid(UUID.fromString(Steps.variable("PENDING"))).build();
      Steps.same(newer.userInvitationsRetrieve(request).getState(), InvitationState.InvitationStatePending);
    });
  }

  private static UserInvitationsApi api(String url, String token) {
    ApiClient client = new ApiClient();
    client.updateBaseUri(Steps.variable(url));
    client.setRequestInterceptor(request -> request.header("Authorization", "Token " + Steps.variable(token)));
    return new UserInvitationsApi(client);
  }

  private static void listEnded(UserInvitationsApi api) throws ApiException {
    List<InvitationListItem> rows =
        api.userInvitationsList(APIUserInvitationsListRequest.newBuilder().state(ENDED).build());
    Steps.onlyCanceled(rows.stream().map(InvitationListItem::getUuid).toList());
  }

  private static Invitation create(UserInvitationsApi api, String email) throws ApiException {
    InvitationRequest request = new InvitationRequest()
        .email(email).role(UUID.fromString(Steps.variable("ROLE"))).scope(Steps.variable("SCOPE"));
    return api.userInvitationsCreate(APIUserInvitationsCreateRequest.newBuilder().invitationRequest(request).build());
  }

  private static List<String> header(Map<String, List<String>> headers, String name) {
    return headers.entrySet().stream().filter(e -> e.getKey().equalsIgnoreCase(name)).findFirst().orElseThrow().getValue();
  }

  /** Returns the body of the error that an attempt ends with. The client leaves decoding it to its user. */
  private static <T> T refused(Steps.Attempt attempt, TypeReference<T> type) throws Exception {
    try {
      attempt.run();
    } catch (ApiException e) {
      return decode(e.getResponseBody(), type);
    }
    throw new IllegalStateException("the request was not refused");
  }

  private static <T> T decode(String body, TypeReference<T> type) throws JsonProcessingException {
    return ApiClient.createDefaultObjectMapper().readValue(body, type);
  }
}
