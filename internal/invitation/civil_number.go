package invitation

import "invited/internal/fault"

// CheckCivilNumber adds the message about a civil number that Create refuses and the contract allows.
func CheckCivilNumber(wrong fault.Fields, number string) { checkCivilNumber(wrong, number) }
