//! Plays the steps of the matrix with the client that progenitor makes.
#![deny(warnings)]

use std::error::Error as Failure;

use play::types::{InvitationRequest, InvitationState, PatchedInvitationUpdateRequest, PatchedInvitationUpdateRequestEmail};
use play::{Client, Error};
use progenitor_client::ResponseValue;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;

type Tried = Result<(), Box<dyn Failure>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let owner = client("URL", "OWNER_TOKEN");
    let invitee = client("URL", "INVITEE_TOKEN");
    let mut uuid = Uuid::nil();

    step("list", list(&owner).await);
    step("count", count(&owner).await);
    step("create", create(&owner, &mut uuid).await);
    step("details", details(&invitee, uuid).await);
    step("accept", accept(&invitee, uuid).await);
    step("field_error", field_error(&owner).await);
    step("rule_error", rule_error(&owner, uuid).await);
    step("not_found", not_found(&invitee).await);
    step("unknown_field", unknown_field(&client("NEWER_URL", "OWNER_TOKEN")).await);
}

fn ended() -> Vec<InvitationState> {
    vec![InvitationState::Canceled, InvitationState::Expired]
}

async fn list(api: &Client) -> Tried {
    let rows = api.user_invitations_list().state(ended()).send().await?.into_inner();
    let uuids: Vec<String> = rows.iter().filter_map(|row| row.uuid).map(|uuid| uuid.to_string()).collect();
    want(uuids.contains(&given("CANCELED")) && !uuids.contains(&given("PENDING")), &uuids)
}

async fn count(api: &Client) -> Tried {
    let response = api.user_invitations_count().state(ended()).send().await?;
    let count = response.headers().get("X-Result-Count").map(HeaderValue::to_str).transpose()?;
    want(count == Some("1"), &count)
}

fn request(email: &str) -> Result<InvitationRequest, Box<dyn Failure>> {
    Ok(InvitationRequest::builder().email(email).role(given("ROLE").parse::<Uuid>()?).scope(given("SCOPE")).try_into()?)
}

async fn create(api: &Client, uuid: &mut Uuid) -> Tried {
    let made = api.user_invitations_create().body(request(&given("INVITEE_EMAIL"))?).send().await?.into_inner();
    *uuid = made.uuid;
    want(!uuid.is_nil() && made.state == InvitationState::Pending, &made)
}

async fn details(api: &Client, uuid: Uuid) -> Tried {
    let details = api.user_invitations_details_retrieve().uuid(uuid).send().await?.into_inner();
    want(!details.scope_name.is_empty(), &details)
}

async fn accept(api: &Client, uuid: Uuid) -> Tried {
    let accepted = api.user_invitations_accept().uuid(uuid).send().await?.into_inner();
    want(accepted.detail == "Invitation has been successfully accepted.", &accepted)
}

async fn field_error(api: &Client) -> Tried {
    let body = refused(400, api.user_invitations_create().body(request("nonsense")?).send().await)?;
    want(body["email"] == json!(["Enter a valid email address."]), &body)
}

async fn rule_error(api: &Client, uuid: Uuid) -> Tried {
    let body = refused(400, api.user_invitations_cancel().uuid(uuid).send().await)?;
    want(body == json!(["Only pending or planned invitations can be canceled."]), &body)?;
    let email = PatchedInvitationUpdateRequestEmail::try_from("other@university.example")?;
    let change: PatchedInvitationUpdateRequest = PatchedInvitationUpdateRequest::builder().email(email).try_into()?;
    let body = refused(400, api.user_invitations_partial_update().uuid(uuid).body(change).send().await)?;
    want(body == json!(["Only pending invitations can be edited."]), &body)
}

async fn not_found(api: &Client) -> Tried {
    let body = refused(404, api.user_invitations_details_retrieve().uuid(Uuid::new_v4()).send().await)?;
    want(body["detail"] == "Not found.", &body)
}

async fn unknown_field(newer: &Client) -> Tried {
    list(newer).await?;
    details(newer, given("CANCELED").parse()?).await
}

/// Returns the body of an error response.
fn refused<T: std::fmt::Debug>(
    status: u16,
    response: Result<ResponseValue<T>, Error<Value>>,
) -> Result<Value, Box<dyn Failure>> {
    match response {
        Err(Error::ErrorResponse(body)) if body.status().as_u16() == status => Ok(body.into_inner()),
        Err(error) => Err(error.into()),
        Ok(response) => Err(format!("the request worked: {response:?}").into()),
    }
}

fn given(name: &str) -> String {
    std::env::var(format!("INVITED_TEST_{name}")).unwrap_or_default()
}

fn client(url: &str, token: &str) -> Client {
    let mut authorization = HeaderValue::try_from(format!("Token {}", given(token))).expect("a token is text");
    authorization.set_sensitive(true);
    let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
    let http = reqwest::Client::builder().default_headers(headers).build().expect("the client has no files to read");
    Client::new_with_client(&given(url), http)
}

fn want(ok: bool, got: &impl std::fmt::Debug) -> Tried {
    if ok { Ok(()) } else { Err(format!("got {got:?}").into()) }
}

fn step(name: &str, tried: Tried) {
    match tried {
        Ok(()) => println!("step {name} ok"),
        Err(error) => println!("step {name} failed: {}", error.to_string().replace('\n', " ")),
    }
}
