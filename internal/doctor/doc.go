// Package doctor finds what is wrong with a set-up, and says what to do. It asks the domain name system, the mail server and
// other servers, sends nothing but the test letter that an operator asks for, and changes nothing. It judges what others have
// found out about the database, and knows neither the configuration nor our tables.
package doctor
