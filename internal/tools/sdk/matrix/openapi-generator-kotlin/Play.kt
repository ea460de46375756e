// Plays the steps of the matrix with the client that OpenAPI Generator makes for Kotlin.

import com.squareup.moshi.Types
import java.lang.reflect.Type
import java.util.UUID
import org.openapitools.client.apis.UserInvitationsApi
import org.openapitools.client.infrastructure.ApiClient
import org.openapitools.client.infrastructure.ClientError
import org.openapitools.client.infrastructure.ClientException
import org.openapitools.client.infrastructure.Serializer
import org.openapitools.client.models.Detail
import org.openapitools.client.models.InvitationRequest
import org.openapitools.client.models.InvitationState
import org.openapitools.client.models.PatchedInvitationUpdateRequest

private val unknown = UUID.fromString("00000000-0000-4000-8000-000000000000")
private val ended = listOf(InvitationState.InvitationStateCanceled, InvitationState.InvitationStateExpired)
private val messages: Type = Types.newParameterizedType(List::class.java, String::class.java)
private val fields: Type = Types.newParameterizedType(Map::class.java, String::class.java, messages)

fun main() {
    val api = UserInvitationsApi(variable("URL"))
    var uuid = unknown

    ApiClient.apiKeyPrefix["Authorization"] = "Token"
    val owner = { ApiClient.apiKey["Authorization"] = variable("OWNER_TOKEN") }
    val invitee = { ApiClient.apiKey["Authorization"] = variable("INVITEE_TOKEN") }

    owner()
    step("list") { api.onlyCanceled() }
    step("count") {
        val response = api.userInvitationsCountWithHttpInfo(null, null, null, null, null, null, null, null, null, null, null, null, ended)
        val header = response.headers.entries.first { it.key.equals("X-Result-Count", ignoreCase = true) }
        same(header.value, listOf("1"))
    }
    step("create") {
        val made = api.userInvitationsCreate(request(variable("INVITEE_EMAIL")))
        uuid = made.uuid
        same(made.state, InvitationState.InvitationStatePending)
    }
    invitee()
    step("details") { same(api.userInvitationsDetailsRetrieve(uuid).email, variable("INVITEE_EMAIL")) }
    step("accept") { same(api.userInvitationsAccept(uuid).detail, "Invitation has been successfully accepted.") }
    owner()
    step("field_error") {
        val body = refused(fields) { api.userInvitationsCreate(request("nonsense")) }
        same(body, mapOf("email" to listOf("Enter a valid email address.")))
    }
    step("rule_error") {
        same(refused(messages) { api.userInvitationsCancel(uuid) }, listOf("Only pending or planned invitations can be canceled."))
        val edit = PatchedInvitationUpdateRequest(email = "ida@university.example")
        same(refused(messages) { api.userInvitationsPartialUpdate(uuid, edit) }, listOf("Only pending invitations can be edited."))
    }
    step("not_found") {
        same(refused(Detail::class.java) { api.userInvitationsDetailsRetrieve(unknown) }, Detail("Not found."))
    }
    step("unknown_field") {
        val newer = UserInvitationsApi(variable("NEWER_URL"))
        newer.onlyCanceled()
        same(newer.userInvitationsRetrieve(UUID.fromString(variable("PENDING"))).state, InvitationState.InvitationStatePending)
    }
}

private fun variable(name: String): String = System.getenv("INVITED_TEST_$name")

private fun request(email: String) =
    InvitationRequest(email = email, role = UUID.fromString(variable("ROLE")), scope = variable("SCOPE"))

/** Fails where the filter of the list has no effect. */
private fun UserInvitationsApi.onlyCanceled() =
    same(userInvitationsList(state = ended).map { it.uuid }, listOf(UUID.fromString(variable("CANCELED"))))

private fun same(got: Any?, wanted: Any?) = check(got == wanted) { "got $got instead of $wanted" }

private fun step(name: String, run: () -> Unit) {
    try {
        run()
        println("step $name ok")
    } catch (e: Exception) {
        println("step $name failed: ${e.toString().replace(Regex("\\s+"), " ")}")
    }
}

/** Returns the body of the error that a call ends with. The client leaves decoding it to its user. */
private fun refused(type: Type, call: () -> Any?): Any? {
    try {
        call()
    } catch (e: ClientException) {
        val body = (e.response as ClientError<*>).body
        return Serializer.moshi.adapter<Any>(type).fromJson(body as String)
    }
    error("the request was not refused")
}
