"""Pure: from objects of the API to what people see, and to the documents of `-o json`."""
