package database_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
)

// Both engines keep microseconds, and compare and order times as times. On SQLite times are text: with trailing zeros left
// out, or in another zone, they would sort otherwise.
func TestTimesKeepTheirMicroseconds(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		second := time.Date(2026, 11, 23, 9, 30, 5, 0, time.UTC)
		offsets := []time.Duration{ // in order of time
			-time.Second, -time.Microsecond, 0, time.Microsecond, 100 * time.Microsecond, 100 * time.Millisecond,
			500 * time.Millisecond, 999999 * time.Microsecond, time.Second, time.Minute,
		}
		zones := []*time.Location{time.UTC, time.FixedZone("", 3600), time.FixedZone("", -5*3600-1800)}
		for i, offset := range offsets {
			// Neither the zone nor the nanoseconds make a difference.
			at := second.Add(offset + 999).In(zones[i%len(zones)])
			until := at.In(zones[(i+1)%len(zones)])
			n := &note{ID: int64(i + 1), Body: fmt.Sprint(i), At: at}
			if i%2 == 0 {
				n.Until = &until
			}
			e.insert(n)
			found, err := e.find(n.ID)
			require.NoError(t, err)
			require.Equal(t, second.Add(offset), found.At.UTC())
			if n.Until == nil {
				require.Nil(t, found.Until)
				continue
			}
			require.Equal(t, second.Add(offset), found.Until.UTC())
		}
		ids := func(query func(tx *gorm.DB) *gorm.DB) (found []int64) {
			require.NoError(t, e.read(func(tx *gorm.DB) error { return query(tx.Model(&note{})).Pluck("id", &found).Error }))
			return found
		}
		var all []int64
		for i, offset := range offsets {
			all = append(all, int64(i+1))
			for _, zone := range zones {
				at := second.Add(offset).In(zone)
				require.Equal(t, all, ids(func(tx *gorm.DB) *gorm.DB { return tx.Where("at <= ?", at).Order("at") }), "up to %s", at)
				require.Equal(t, all[i:], ids(func(tx *gorm.DB) *gorm.DB { return tx.Where("at = ?", &at) }), "at %s", at)
				require.Equal(t, all[i:], ids(func(tx *gorm.DB) *gorm.DB { return tx.Where(&note{At: at}) }), "at %s", at)
				require.Equal(t, all[i:], ids(func(tx *gorm.DB) *gorm.DB { return tx.Where("at IN ?", []time.Time{at}) }), "at %s", at)
				require.Equal(t, all[i:], ids(func(tx *gorm.DB) *gorm.DB {
					return tx.Where("id IN (?)", tx.Session(&gorm.Session{NewDB: true}).Raw("SELECT id FROM notes WHERE at = ?", at))
				}), "at %s", at)
			}
		}

		// The same through each way to update.
		at := second.Add(10 * time.Minute).In(zones[2])
		for i, update := range []func(tx *gorm.DB) error{
			func(tx *gorm.DB) error { return tx.Model(&note{ID: 1}).Update("at", at).Error },
			func(tx *gorm.DB) error {
				return tx.Model(&note{ID: 1}).Updates(map[string]any{"at": at, "until": &at}).Error
			},
			func(tx *gorm.DB) error { return tx.Model(&note{ID: 1}).Updates(note{At: at, Until: &at}).Error },
			func(tx *gorm.DB) error { return tx.Save(&note{ID: 1, Body: "saved", At: at, Until: &at}).Error },
			func(tx *gorm.DB) error {
				return tx.Exec("UPDATE notes SET at = ?, until = ? WHERE id = 1", at, &at).Error
			},
		} {
			at = at.Add(time.Microsecond)
			require.NoError(t, e.write(update))
			found, err := e.find(1)
			require.NoError(t, err)
			require.Equal(t, at.UTC(), found.At.UTC(), i)
			if i > 0 {
				require.Equal(t, at.UTC(), found.Until.UTC(), i)
			}
		}
		require.NoError(t, e.write(func(tx *gorm.DB) error {
			return tx.Model(&note{ID: 1}).Updates(map[string]any{"until": (*time.Time)(nil)}).Error
		}))
		found, err := e.find(1)
		require.NoError(t, err)
		require.Nil(t, found.Until)

		if !e.postgres {
			var forms int
			require.NoError(t, e.outside.QueryRow(
				"SELECT count(*) FROM notes WHERE typeof(at) <> 'text' OR length(at) <> 27 OR at NOT LIKE '%Z'").Scan(&forms))
			require.Zero(t, forms)
		}
	})
}

// PostgreSQL allows 65,535 arguments, and SQLite 32,766.
const manyRows = 70_000

func TestInTakesAnyNumberOfUUIDs(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		ids := make([]uuid.UUID, manyRows)
		for i := range ids {
			ids[i] = uuid.New()
		}
		for i, id := range []uuid.UUID{ids[0], ids[len(ids)-1], uuid.New()} {
			n := newNote(int64(i+1), fmt.Sprint(i))
			n.Owner = id
			e.insert(n)
		}
		for _, each := range []struct {
			ids  []uuid.UUID
			want []int64
		}{
			{nil, []int64{}},
			{[]uuid.UUID{}, []int64{}},
			{ids[:1], []int64{1}},
			{ids[1:2], []int64{}},
			{ids, []int64{1, 2}},
		} {
			found := []int64{}
			require.NoError(t, e.read(func(tx *gorm.DB) error {
				return tx.Model(&note{}).Where(e.db.In("owner", each.ids)).Order("id").Pluck("id", &found).Error
			}))
			require.Equal(t, each.want, found, "%d UUIDs", len(each.ids))
		}
	})
}

func TestListTakesAnyNumberOfRows(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		owner := uuid.New()
		values := [][]any{
			{owner, `'"\{}[],é🙂 null ?`, -2147483648, true},
			{nil, nil, nil, nil},
			{owner, "", 0, false},
		}
		for i := len(values); i < manyRows; i++ {
			values = append(values, []any{owner, fmt.Sprint(i), i, i%2 == 0})
		}
		type row struct {
			ID   *uuid.UUID
			Body *string
			N    *int
			Flag *bool
		}
		read := func(values [][]any) (rows []row) {
			list, err := json.Marshal(values)
			require.NoError(t, err)
			require.NoError(t, e.read(func(tx *gorm.DB) error {
				return tx.Raw("WITH listed (id, body, n, flag) AS (?) SELECT * FROM listed",
					e.db.List(list, "uuid", "text", "integer", "boolean")).Scan(&rows).Error
			}))
			return rows
		}
		require.Empty(t, read([][]any{}))
		rows := read(values)
		require.Len(t, rows, manyRows)
		require.Equal(t, row{}, rows[1], "null in each column")
		for i, want := range values {
			if i != 1 {
				require.Equal(t, want, []any{*rows[i].ID, *rows[i].Body, *rows[i].N, *rows[i].Flag})
			}
		}

		// As a condition on several columns.
		n := newNote(7, values[0][1].(string))
		n.Owner = owner
		e.insert(n)
		list, err := json.Marshal([][]any{{owner, n.Body}, {owner, "other"}})
		require.NoError(t, err)
		var found []int64
		require.NoError(t, e.read(func(tx *gorm.DB) error {
			return tx.Model(&note{}).Where("(owner, body) IN (?)", e.db.List(list, "uuid", "text")).Pluck("id", &found).Error
		}))
		require.Equal(t, []int64{7}, found)
	})
}
