package main

// A tool is a generator of clients, or a way to use one. Its name is that of its folder.
type tool struct {
	name string
	// known has the reason why a phase or a step fails, by its name. Phases and steps that follow a failed phase are not run.
	known map[string]string
}

// short are the tools of the short form, which together show the most kinds of failures.
var short = []string{
	"openapi-generator-go",
	"openapi-generator-java-native",
	"openapi-generator-typescript-fetch",
}

// tools are in the order of the table.
var tools = []tool{
	{name: "openapi-generator-go"},
	{name: "openapi-generator-java-native"},
	{name: "openapi-generator-java-okhttp"},
	{name: "openapi-generator-kotlin"},
	{name: "openapi-generator-python"},
	{name: "openapi-generator-rust", known: map[string]string{
		"count": "The client returns no headers, so that X-Result-Count is out of reach.",
	}},
	{name: "openapi-generator-typescript-axios"},
	{name: "openapi-generator-typescript-fetch"},
}
