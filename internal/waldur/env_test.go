package waldur_test

import (
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// query reads the texts that a query of our database finds.
func (e *env) query(query string, into *[]string) error {
	return e.db.Read(e.Context(), func(tx *gorm.DB, _ time.Time) error {
		return tx.Raw(query).Scan(into).Error
	})
}

// invitations returns the invitations by their uuids, each as one text: the end of the uuid, the state, that of the delivery, the
// creator, civil number, name, organization and text of the invitee.
func (e *env) invitations() (lines []string) {
	e.Helper()
	for _, each := range e.table("SELECT substr(CAST(i.uuid AS text), 33) || ' ' || state || ' ' || execution_state || ' ' ||" +
		" COALESCE(u.username, 'nobody') || ' ' || i.civil_number || ' ' || i.full_name || ' ' || i.organization || ' ' ||" +
		" CASE WHEN length(i.extra_invitation_text) > 100 THEN '' ELSE i.extra_invitation_text END" +
		" FROM invitations AS i LEFT JOIN users AS u ON u.uuid = i.created_by_uuid ORDER BY i.uuid") {
		lines = append(lines, strings.TrimSpace(strings.TrimLeft(each, "0")))
	}
	return lines
}

// revokeToken revokes the API tokens of a user here.
func (e *env) revokeToken(user uuid.UUID) (revoked []directory.APIToken, err error) {
	return revoked, e.db.FileStore().Write(e.Context(), func(tx directory.FileTx) error {
		tokens, err := tx.TokensOf([]uuid.UUID{user})
		if err != nil {
			return err
		}
		ids := make([]uuid.UUID, len(tokens))
		for n, each := range tokens {
			ids[n] = each.UUID
		}
		if revoked, err = tx.DeleteTokens(ids); err != nil {
			return err
		}
		return tx.SaveTokenEvents(false, revoked)
	})
}

// revokeRole revokes a membership here.
func (e *env) revokeRole(id uuid.UUID) {
	e.Helper()
	require.NoError(e, e.db.Write(e.Context(), func(tx *gorm.DB, now time.Time) error {
		result := tx.Model(&directory.Membership{}).Where("uuid = ?", id).Update("revoked", now)
		if result.RowsAffected != 1 {
			return fault.NotFound()
		}
		return result.Error
	}))
}

// accept has a new user accept an invitation here.
func (e *env) accept(id uuid.UUID) {
	e.Helper()
	user := directory.User{UUID: uuid.New(), Username: "acceptor", IsActive: true, Created: e.clock.Now()}
	require.NoError(e, e.db.FileStore().Write(e.Context(), func(tx directory.FileTx) error {
		return tx.SaveUsers([]directory.User{user})
	}))
	require.NoError(e, e.db.Write(e.Context(), func(tx *gorm.DB, _ time.Time) error {
		return tx.Exec("UPDATE roles SET is_active = TRUE WHERE name = 'PROPOSAL.MEMBER'").Error
	}))
	service := &invitation.Service{Store: e.db.Invitations(), Policy: invitation.Policy{Lifetime: week}}
	require.NoError(e, service.Accept(e.Context(), directory.Actor{User: user}, id))
}
