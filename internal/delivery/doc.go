// Package delivery says why something could not be delivered, in the one form that mail and webhook report it and that
// jobs acts on. It owns the difference between what may pass, what is for good, and what is the operator's to mend;
// it delivers nothing.
package delivery
