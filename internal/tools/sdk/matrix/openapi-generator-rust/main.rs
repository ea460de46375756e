//! Plays the steps of the matrix with the client that OpenAPI Generator makes for Rust.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::fmt::Debug;

use openapi::apis::configuration::{ApiKey, Configuration};
use openapi::apis::user_invitations_api as api;
use openapi::apis::Error as ApiError;
use openapi::models::{InvitationListItem, InvitationRequest, InvitationState, PatchedInvitationUpdateRequest};
use uuid::Uuid;

type Outcome = Result<(), Box<dyn Error>>;

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let owner = client("URL", "OWNER_TOKEN");
    let invitee = client("URL", "INVITEE_TOKEN");
    let newer = client("NEWER_URL", "OWNER_TOKEN");

    report("list", list(&owner).await);
    report("count", count(&owner).await);
    let made = create(&owner).await;
    let uuid = made.as_deref().unwrap_or(UNKNOWN).to_owned();
    report("create", made.map(|_| ()));
    report("details", details(&invitee, &uuid).await);
    report("accept", accept(&invitee, &uuid).await);
    report("field_error", field_error(&owner).await);
    report("rule_error", rule_error(&owner, &uuid).await);
    report("not_found", not_found(&owner).await);
    report("unknown_field", unknown_field(&newer).await);
}

fn variable(name: &str) -> String {
    env::var(format!("INVITED_TEST_{name}")).expect(name)
}

fn client(url: &str, token: &str) -> Configuration {
    Configuration {
        base_path: variable(url),
        api_key: Some(ApiKey { prefix: Some("Token".to_owned()), key: variable(token) }),
        ..Configuration::default()
    }
}

fn report(step: &str, outcome: Outcome) {
    match outcome {
        Ok(()) => println!("step {step} ok"),
        Err(error) => println!("step {step} failed: {}", error.to_string().replace('\n', " ")),
    }
}

fn same<T: Debug + PartialEq>(got: T, wanted: T) -> Outcome {
    if got == wanted {
        return Ok(());
    }
    Err(format!("got {got:?} instead of {wanted:?}").into())
}

/// Returns the decoded body of an error response.
fn refused<T: Debug, E: Debug>(result: Result<T, ApiError<E>>) -> Result<E, Box<dyn Error>> {
    match result {
        Err(ApiError::ResponseError(response)) => response.entity.ok_or_else(|| response.content.into()),
        other => Err(format!("the request was not refused: {other:?}").into()),
    }
}

fn ended() -> Option<Vec<InvitationState>> {
    Some(vec![InvitationState::InvitationStateCanceled, InvitationState::InvitationStateExpired])
}

async fn list(owner: &Configuration) -> Outcome {
    // The client's parameters have no defaults.
    let params = api::UserInvitationsListParams {
        state: ended(),
        civil_number: None,
        customer_uuid: None,
        email: None,
        email_exact: None,
        execution_state: None,
        expires_before: None,
        role_name: None,
        role_uuid: None,
        scope: None,
        scope_description: None,
        scope_name: None,
        scope_type: None,
        field: None,
        o: None,
        page: None,
        page_size: None,
    };
    let rows: Vec<InvitationListItem> = api::user_invitations_list(owner, params).await?;
    let uuids: Vec<_> = rows.iter().filter_map(|row| row.uuid).collect();
    same(uuids, vec![Uuid::parse_str(&variable("CANCELED"))?])
}

async fn count(owner: &Configuration) -> Outcome {
    let params = api::UserInvitationsCountParams {
        state: ended(),
        civil_number: None,
        customer_uuid: None,
        email: None,
        email_exact: None,
        execution_state: None,
        expires_before: None,
        role_name: None,
        role_uuid: None,
        scope: None,
        scope_description: None,
        scope_name: None,
        scope_type: None,
    };
    let response: () = api::user_invitations_count(owner, params).await?;
    Err(format!("the header X-Result-Count is not in the result, which is {response:?}").into())
}

fn request(email: String) -> Result<api::UserInvitationsCreateParams, uuid::Error> {
    let invitation_request = InvitationRequest::new(Uuid::parse_str(&variable("ROLE"))?, variable("SCOPE"), email);
    Ok(api::UserInvitationsCreateParams { invitation_request })
}

async fn create(owner: &Configuration) -> Result<String, Box<dyn Error>> {
    let made = api::user_invitations_create(owner, request(variable("INVITEE_EMAIL"))?).await?;
    same(made.state, InvitationState::InvitationStatePending)?;
    Ok(made.uuid.to_string())
}

async fn details(invitee: &Configuration, uuid: &str) -> Outcome {
    let params = api::UserInvitationsDetailsRetrieveParams { uuid: uuid.to_owned() };
    let details = api::user_invitations_details_retrieve(invitee, params).await?;
    same(details.email, variable("INVITEE_EMAIL"))
}

async fn accept(invitee: &Configuration, uuid: &str) -> Outcome {
    let params = api::UserInvitationsAcceptParams { uuid: uuid.to_owned() };
    let accepted = api::user_invitations_accept(invitee, params).await?;
    same(accepted.detail.as_str(), "Invitation has been successfully accepted.")
}

async fn field_error(owner: &Configuration) -> Outcome {
    let wanted = HashMap::from([("email".to_owned(), vec!["Enter a valid email address.".to_owned()])]);
    match refused(api::user_invitations_create(owner, request("nonsense".to_owned())?).await)? {
        api::UserInvitationsCreateError::Status400(fields) => same(fields, wanted),
        other => Err(format!("{other:?}").into()),
    }
}

async fn rule_error(owner: &Configuration, uuid: &str) -> Outcome {
    let params = api::UserInvitationsCancelParams { uuid: uuid.to_owned() };
    match refused(api::user_invitations_cancel(owner, params).await)? {
        api::UserInvitationsCancelError::Status400(messages) => {
            same(messages, vec!["Only pending or planned invitations can be canceled.".to_owned()])?;
        }
        other => return Err(format!("{other:?}").into()),
    }
    let edit = PatchedInvitationUpdateRequest { email: Some("ida@university.example".to_owned()), ..Default::default() };
    let params = api::UserInvitationsPartialUpdateParams { uuid: uuid.to_owned(), patched_invitation_update_request: edit };
    match refused(api::user_invitations_partial_update(owner, params).await)? {
        api::UserInvitationsPartialUpdateError::Status400(body) => {
            same(body, serde_json::json!(["Only pending invitations can be edited."]))
        }
        other => Err(format!("{other:?}").into()),
    }
}

async fn not_found(owner: &Configuration) -> Outcome {
    let params = api::UserInvitationsDetailsRetrieveParams { uuid: UNKNOWN.to_owned() };
    match api::user_invitations_details_retrieve(owner, params).await {
        Err(ApiError::ResponseError(response)) => {
            same(response.status.as_u16(), 404)?;
            // The client decodes each body as that of the first status with the same shape.
            match response.entity {
                Some(api::UserInvitationsDetailsRetrieveError::Status401(body)) => same(body.detail.as_str(), "Not found."),
                other => Err(format!("{other:?}").into()),
            }
        }
        other => Err(format!("the request was not refused: {other:?}").into()),
    }
}

async fn unknown_field(newer: &Configuration) -> Outcome {
    list(newer).await?;
    let params = api::UserInvitationsRetrieveParams { uuid: variable("PENDING") };
    let invitation = api::user_invitations_retrieve(newer, params).await?;
    same(invitation.state, InvitationState::InvitationStatePending)
}
