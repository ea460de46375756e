package doctor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/doctor"
)

func requireFinding(t *testing.T, f doctor.Finding, level doctor.Level, words string) {
	t.Helper()
	require.Equal(t, level, f.Level, f.Message)
	require.Contains(t, f.Message+" "+f.Advice, words)
	require.Equal(t, level == doctor.OK, f.Advice == "", "what is not ok has advice: %s", f.Message)
}

func TestSPF(t *testing.T) {
	t.Parallel()
	for record, want := range map[string]struct {
		level doctor.Level
		words string
	}{
		"":                        {doctor.Wrong, "has no SPF record"},
		"google-verification=x":   {doctor.Wrong, "has no SPF record"},
		"v=spf10 -all":            {doctor.Wrong, "has no SPF record"},
		"v=spf1 mx -all":          {doctor.OK, "has an SPF record (v=spf1 mx -all)"},
		"V=SPF1 include:a.b ~All": {doctor.OK, "has an SPF record"},
		"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 a/24 -all": {doctor.OK, "has an SPF record"},
		"v=spf1 redirect=_spf.example.org":                    {doctor.OK, "has an SPF record"},
		"v=spf1 mx":                                           {doctor.Note, "says nothing about other senders"},
		"v=spf1":                                              {doctor.Note, "says nothing about other senders"},
		"v=spf1 mx ?all":                                      {doctor.Note, "says nothing about other senders"},
		"v=spf1 mx all":                                       {doctor.Wrong, "lets everybody send"},
		"v=spf1 mx +all":                                      {doctor.Wrong, "lets everybody send"},
		"v=spf1 ptr -all":                                     {doctor.Note, "uses ptr"},
		"v=spf1 inclde:a.b -all":                              {doctor.Wrong, `unknown term "inclde:a.b"`},
		"v=spf1" + strings.Repeat(" include:a.b", 10) + " -all": {doctor.OK, "has an SPF record"},
		"v=spf1" + strings.Repeat(" include:a.b", 11) + " -all": {doctor.Wrong, "needs 11 lookups"},
	} {
		requireFinding(t, doctor.JudgeSPF("example.org", []string{"another record", record}), want.level, want.words)
	}
	requireFinding(t, doctor.JudgeSPF("example.org", []string{"v=spf1 -all", "v=spf1 mx -all"}), doctor.Wrong, "2 SPF records")
}

func TestDMARC(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		record, at string
		level      doctor.Level
		words      string
	}{
		{"", "mail.example.org", doctor.Wrong, "TXT record of _dmarc.mail.example.org"},
		{"v=DMARC2; p=none", "mail.example.org", doctor.Wrong, "has no DMARC record"},
		{"v=DMARC1; p=reject", "mail.example.org", doctor.OK, ": reject."},
		{"v=DMARC1;p=Quarantine;", "mail.example.org", doctor.OK, ": quarantine."},
		{"v=DMARC1; p=none; rua=mailto:a@b.c", "mail.example.org", doctor.Note, "Others can write mails in its name"},
		{"v=DMARC1; p=reject; pct=20", "mail.example.org", doctor.Note, "reject, for 20 of 100"},
		{"v=DMARC1; rua=mailto:a@b.c", "mail.example.org", doctor.Wrong, "no policy"},
		{"v=DMARC1; p=rejcet", "mail.example.org", doctor.Wrong, "no policy"},
		{"v=DMARC1; p=none; sp=reject", "mail.example.org", doctor.Note, ": none."},
		{"v=DMARC1; p=none; sp=reject", "example.org", doctor.OK, ": reject."},
		{"v=DMARC1; p=reject; sp=none", "example.org", doctor.Note, ": none."},
	} {
		requireFinding(t, doctor.JudgeDMARC("mail.example.org", test.at, []string{"other", test.record}), test.level, test.words)
	}
	requireFinding(t, doctor.JudgeDMARC("a.b", "a.b", []string{"v=DMARC1; p=none", "v=DMARC1; p=reject"}), doctor.Wrong, "2 DMARC records")
}

func TestDKIMAndMX(t *testing.T) {
	t.Parallel()
	const name = "s1._domainkey.example.org"
	requireFinding(t, doctor.JudgeDKIM(name, []string{"v=DKIM1; k=rsa; p=MIIB"}), doctor.OK, "has a DKIM key")
	requireFinding(t, doctor.JudgeDKIM(name, []string{"p=MIIB"}), doctor.OK, "has a DKIM key")
	requireFinding(t, doctor.JudgeDKIM(name, []string{"v=DKIM1; p="}), doctor.Wrong, "revoked")
	requireFinding(t, doctor.JudgeDKIM(name, []string{"v=spf1 -all"}), doctor.Wrong, "has no DKIM key")
	requireFinding(t, doctor.JudgeDKIM(name, nil), doctor.Wrong, "has no DKIM key")
	requireFinding(t, doctor.JudgeMX("a.b", []string{"mx1.a.b", "mx2.a.b"}), doctor.OK, "go to mx1.a.b, mx2.a.b")
	requireFinding(t, doctor.JudgeMX("a.b", nil), doctor.Wrong, "no MX record")
	requireFinding(t, doctor.JudgeMX("a.b", []string{""}), doctor.Wrong, "takes no mail")
}

func TestJudgePostgres(t *testing.T) {
	t.Parallel()
	good := database.PostgresDiagnosis{
		HasTrigrams: true, MayCreate: true, IsRemote: true, IsEncrypted: true, MaxConnections: 100, Reserved: 3, Connections: 7, Pools: 20,
	}
	judge := func(change func(*database.PostgresDiagnosis)) (texts string, levels []doctor.Level) {
		p := good
		change(&p)
		for _, f := range doctor.JudgeDatabase(database.Diagnosis{Version: "PostgreSQL 15", Postgres: &p}, doctor.Schema{}) {
			texts += f.Message + f.Advice + "\n"
			if f.Level != doctor.OK {
				levels = append(levels, f.Level)
			}
		}
		return texts, levels
	}
	texts, levels := judge(func(*database.PostgresDiagnosis) {})
	require.Empty(t, levels)
	require.Contains(t, texts, "7 of 97 connections are open, and a replica may open 20")
	for _, test := range []struct {
		change func(*database.PostgresDiagnosis)
		level  doctor.Level
		words  string
	}{
		{func(p *database.PostgresDiagnosis) { p.HasTrigrams = false }, doctor.Note, "CREATE EXTENSION pg_trgm"},
		{func(p *database.PostgresDiagnosis) { p.MayCreate = false }, doctor.Wrong, "GRANT CREATE ON SCHEMA"},
		{func(p *database.PostgresDiagnosis) { p.Foreign = 3 }, doctor.Wrong, "3 tables belong to another role"},
		{func(p *database.PostgresDiagnosis) { p.IsSuperuser = true }, doctor.Note, "superuser"},
		{func(p *database.PostgresDiagnosis) { p.IsEncrypted = false }, doctor.Note, "sslmode=verify-full"},
		{func(p *database.PostgresDiagnosis) { p.Connections = 78 }, doctor.Note, "no whole replica more"},
		{func(p *database.PostgresDiagnosis) { p.Pools = 98 }, doctor.Wrong, "admits 97"},
	} {
		texts, levels := judge(test.change)
		require.Equal(t, []doctor.Level{test.level}, levels, texts)
		require.Contains(t, texts, test.words)
	}
}

func TestJudgeTheRest(t *testing.T) {
	t.Parallel()
	requireFinding(t, doctor.JudgeClock(-time.Second), doctor.OK, "1s off")
	requireFinding(t, doctor.JudgeClock(-3*time.Second), doctor.Note, "NTP")
	requireFinding(t, doctor.JudgeClock(10*time.Second), doctor.Wrong, "NTP")
	requireFinding(t, doctor.JudgeSpace(5<<30, 1<<20), doctor.OK, "5120 MB left")
	requireFinding(t, doctor.JudgeSpace(5<<30, 6<<30), doctor.Note, "Make room")
	requireFinding(t, doctor.JudgeSpace(500<<20, 1<<20), doctor.Note, "Make room")
	requireFinding(t, doctor.JudgeSpace(50<<20, 1<<20), doctor.Wrong, "50 MB left")
	requireFinding(t, doctor.JudgeQueue(doctor.Queue{Waiting: 1, Oldest: time.Minute})[0], doctor.OK, "1 job waits")
	requireFinding(t, doctor.JudgeQueue(doctor.Queue{Waiting: 5, Oldest: time.Hour})[0], doctor.Wrong, "INVITED_WORKERS=true")
	requireFinding(t, doctor.JudgeQueue(doctor.Queue{HeldSince: time.Unix(0, 0).UTC(), Oldest: time.Hour})[0], doctor.Wrong, "held since 1970")
	requireFinding(t, doctor.JudgeQueue(doctor.Queue{Discarded: 2})[0], doctor.Note, "2 jobs")
	damaged := doctor.JudgeDatabase(database.Diagnosis{Version: "SQLite 3", Damage: "row 7 missing"}, doctor.Schema{})
	require.Len(t, damaged, 1)
	requireFinding(t, damaged[0], doctor.Wrong, "row 7 missing")
	requireFinding(t, doctor.JudgeDatabase(database.Diagnosis{}, doctor.Schema{Pending: []string{"1", "2"}})[1], doctor.Note, "2 migrations")
	requireFinding(t, doctor.JudgeDatabase(database.Diagnosis{}, doctor.Schema{Newer: true})[1], doctor.Wrong, "newer than this program")
}
