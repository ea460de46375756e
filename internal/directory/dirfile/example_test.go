package dirfile_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"invited/internal/database"
	"invited/internal/directory/dirfile"
	"invited/internal/store"
)

func ExampleDecode() {
	_, err := dirfile.Decode(strings.NewReader(`
users:
  - {username: alice, email: alice}
customers:
  - name: Acme
    members:
      - {user: alice, roel: CUSTOMER.OWNER}
`))
	fmt.Fprintln(os.Stdout, err)
	// Output:
	// users[0].email: is not an e-mail address: alice (line 3)
	// customers[0].members[0].roel: is no key of a member (line 7)
	// customers[0].members[0].role: is missing (line 7)
}

func ExampleApply() {
	file, err := dirfile.Decode(strings.NewReader(`
roles:
  - {name: CUSTOMER.OWNER, scope_type: customer, permissions: [CUSTOMER.CREATE_PERMISSION]}
users:
  - {username: alice, email: alice@example.com, tokens: [alice-token]}
  - {username: bob}
customers:
  - name: Acme
    members: [{user: alice, role: CUSTOMER.OWNER}]
    projects: [{name: Apollo}]
`))
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "invited-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := store.Open(database.Options{SQLite: filepath.Join(dir, "invited.db")})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Migrate(context.Background()); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		report, err := dirfile.Apply(context.Background(), db.FileStore(), file, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprintln(os.Stdout, report)
	}
	// Output:
	// roles:              1 created       0 changed       0 unchanged
	// users:              2 created       0 changed       0 unchanged
	// tokens:             1 created       0 changed       0 unchanged       0 revoked
	// customers:          1 created       0 changed       0 unchanged
	// projects:           1 created       0 changed       0 unchanged
	// memberships:        1 created       0 changed       0 unchanged
	//
	// roles:              0 created       0 changed       1 unchanged
	// users:              0 created       0 changed       2 unchanged
	// tokens:             0 created       0 changed       1 unchanged       0 revoked
	// customers:          0 created       0 changed       1 unchanged
	// projects:           0 created       0 changed       1 unchanged
	// memberships:        0 created       0 changed       1 unchanged
}
